package e2e_test

import (
	"net"
	"slices"
	"strings"

	"kz/test/canary"
)

func allMissteps() []misstep {
	return slices.Concat(firstMissteps(), fileMissteps(), valueMissteps(), commandMissteps(), storeMissteps())
}

// firstMissteps are those of the first minute.
func firstMissteps() []misstep {
	return []misstep{
		{
			name: "no configuration",
			says: `^no secrets are configured here$`, hint: "`kz init` writes a .keyzero.toml",
			mend: func(n *newcomer, hint string) {
				n.write("project/.env.example", "OPENAI_API_KEY=\n")
				n.types(commands(hint)[0]).Succeeds(n.t)
				n.trusts()
				v := canary.Value("sk-")
				n.Watch("OPENAI_API_KEY", v)
				n.write("store/value", v)
				n.types("kz put OPENAI_API_KEY < ../store/value").Succeeds(n.t)
				n.types("kz run --blind -- sh -c 'test -n \"$OPENAI_API_KEY\"'").Succeeds(n.t)
			},
		},
		{
			name: "no configuration, at the step of approving it", typed: "kz trust",
			says: `^no secrets are configured here$`, hint: "`kz init`",
			mend: func(n *newcomer, hint string) {
				n.types(commands(hint)[0] + " OPENAI_API_KEY").Succeeds(n.t)
				n.trusts()
			},
		},
		{
			name: "a configuration that is not approved",
			lay:  func(n *newcomer) { n.stores(); n.write("project/.keyzero.toml", n.dotenv()) },
			says: `^not approved, or changed since: \S+/project/\.keyzero\.toml$`, hint: "`kz trust` shows what it would allow",
			mend: func(n *newcomer, hint string) {
				value := n.stores()
				res := n.types(commands(hint)[0]) // without a terminal it shows, and says how to go on
				yes := commands(strings.Join(spoken(res, "hint"), " "))
				if len(yes) != 1 {
					n.t.Fatalf("no command to approve it:\n%s", res.Stderr)
				}
				n.types(yes[0]).Succeeds(n.t)
				n.types(calls)
				n.arrives(value)
			},
		},
		{
			name: "a configuration that has changed since it was approved",
			lay: func(n *newcomer) {
				n.stores()
				n.configure(n.dotenv())
				n.replace("api.test", "evil.test")
			},
			says: `^not approved, or changed since: `, hint: "`kz trust`",
			mend: func(n *newcomer, _ string) { n.trusts(); n.types("kz run --blind -- true").Succeeds(n.t) },
		},
		{
			name: "a secret without hosts",
			lay: func(n *newcomer) {
				n.stores()
				n.configure(strings.Replace(n.dotenv(), "hosts = [\"api.test\"]\n", "", 1))
			},
			says: `keyzero\.toml:\d+:\d+: the secret API_KEY has no hosts, so a blind program could not use it$`,
			hint: `^write hosts = \["api\.example\.com"\] in the entry API_KEY, with the host that it is for`,
			mend: func(n *newcomer, hint string) {
				value := n.stores()
				line := strings.Replace(hint[strings.Index(hint, "hosts"):strings.Index(hint, "]")+1], "api.example.com", "api.test", 1)
				n.replace("[secrets.API_KEY]\n", "[secrets.API_KEY]\n"+line+"\n")
				n.trusts()
				n.types(calls)
				n.arrives(value)
			},
		},
	}
}

// fileMissteps are in what a person writes.
func fileMissteps() []misstep {
	// written is a configuration that lacks a word, and has it again once the hint was followed.
	written := func(name, right, wrong, says, hint string) misstep {
		return misstep{
			name: name,
			lay: func(n *newcomer) {
				text := strings.Replace(n.dotenv(), right, wrong, 1)
				if text == n.dotenv() {
					n.t.Fatalf("%q is not in the configuration", right)
				}
				n.write("project/.keyzero.toml", text)
			},
			typed: "kz validate", says: says, hint: hint,
			mend: func(n *newcomer, _ string) {
				value := n.stores()
				n.configure(n.dotenv())
				n.types(calls)
				n.arrives(value)
			},
		}
	}
	const mask = "kz_masked_0123456789abcdef0123456789abcdef"
	return []misstep{
		written("a key with a slip in it", "hosts =", "host =", `unknown key "host" in a secret`, `^did you mean "hosts"\?$`),
		written("a type that there is not", `"env_file"`, `"dotenv"`, `unknown backend type`, `^the types are aws_secrets_manager, .*env_file`),
		written("a file that is not TOML", `["api.test"]`, `["api.test"`, `keyzero\.toml:\d+:\d+: `, `.`),
		written("a URL in place of a host", `"api.test"`, `"https://api.test/v1"`, `"hosts" holds what is not a host`, `^write "api\.test"$`),
		written("text in place of a list", `["api.test"]`, `"api.test"`, `"hosts" takes a list`, `\["`),
		written("a value in place of a reference", `hosts =`, "value = \"sk-live-0123456789\"\nhosts =", `unknown key "value" in a secret`, `a value never stands in the file`),
		written("a masked token in the configuration, as a name", `hosts =`, "name = \""+mask+"\"\nhosts =", `what stands here is a mask`, "write the name that the value has in its store; `kz put NAME` stores a value"),
		written("a masked token in the configuration, as a value", `hosts =`, "value = \""+mask+"\"\nhosts =", `what stands here is a mask`, "`kz put NAME` stores a value"),
		{
			name: "a section that there is not", typed: "KEYZERO_ENV=prod " + calls,
			lay:  func(n *newcomer) { n.stores(); n.configure(n.dotenv()) },
			says: `^KEYZERO_ENV names "prod", which is no environment section$`, hint: `leave it out, or write one, as in \[production\.secrets\.API_KEY\]`,
			mend: func(n *newcomer, _ string) { value := n.stores(); n.types(calls); n.arrives(value) },
		},
		{
			name: "a backend that is not configured",
			lay: func(n *newcomer) {
				n.write("project/.keyzero.toml", strings.Replace(n.dotenv(), "hosts =", "backend = \"vault\"\nhosts =", 1))
			},
			typed: "kz validate", says: `the secret names a backend that is not configured`, hint: `^the backends are local$`,
			mend: func(n *newcomer, _ string) {
				value := n.stores()
				n.replace(`backend = "vault"`, `backend = "local"`)
				n.trusts()
				n.types(calls)
				n.arrives(value)
			},
		},
	}
}

// valueMissteps are in what is stored.
func valueMissteps() []misstep {
	// stored is a dotenv file with text for API_KEY.
	stored := func(name, text, says, hint string) misstep {
		return misstep{
			name: name,
			lay: func(n *newcomer) {
				n.write("store/secrets.env", text)
				n.configure(n.dotenv())
			},
			says: says, hint: hint,
			mend: func(n *newcomer, _ string) { value := n.stores(); n.types(calls); n.arrives(value) },
		}
	}
	return []misstep{
		stored("a masked token that was stored", "API_KEY=kz_masked_0123456789abcdef0123456789abcdef\n",
			`^API_KEY: the value holds what looks like a mask$`, "a mask was saved in place of the value: store the value itself, as in `kz put API_KEY`"),
		stored("a value that is too short", "API_KEY=1234567\n", `^API_KEY: the value is shorter than 8 bytes`, `use a longer value, or write under \[secrets\.API_KEY\]: scrub = false`),
		stored("a value that is empty", "API_KEY=\n", `API_KEY: .*empty`, `.`),
		stored("a key that is not in the file", "OTHER_KEY=a-value-of-it\n", `there is no key "API_KEY"`, `add a line API_KEY=… to \S+/store/secrets\.env`),
		{
			name: "a secret that nobody has stored yet",
			lay: func(n *newcomer) {
				n.configure("[backends.own]\ntype = \"local\"\n\n[secrets.API_KEY]\nhosts = [\"api.test\"]\n")
			},
			says: `resolving API_KEY: own: not found: there is no local store yet`, hint: "`kz put --missing` asks for each value, and makes it",
			mend: func(n *newcomer, hint string) {
				v := canary.Value("k-")
				n.Watch("API_KEY", v)
				n.write("store/values", "API_KEY="+v+"\n")
				n.types(commands(hint)[0] + " --from ../store/values").Succeeds(n.t)
				n.types(calls)
				n.arrives(v)
			},
		},
		{
			name: "a masked token that is to be stored", typed: "echo kz_masked_0123456789abcdef0123456789abcdef | kz put API_KEY",
			lay: func(n *newcomer) {
				n.configure("[backends.own]\ntype = \"local\"\n\n[secrets.API_KEY]\nhosts = [\"api.test\"]\n")
			},
			says: `^storing API_KEY: the value is a mask, or holds one$`, hint: `store the value itself`,
			mend: func(n *newcomer, _ string) {
				v := canary.Value("k-")
				n.Watch("API_KEY", v)
				n.write("store/value", v)
				n.types("kz put API_KEY < ../store/value").Succeeds(n.t)
				n.types(calls)
				n.arrives(v)
			},
		},
	}
}

// commandMissteps are in what is typed.
func commandMissteps() []misstep {
	ready := func(n *newcomer) { n.stores(); n.configure(n.dotenv()) }
	retyped := func(n *newcomer, _ string) { value := n.stores(); n.types(calls); n.arrives(value) }
	return []misstep{
		{name: "run is left out", typed: "kz --blind -- true", code: 2, lay: ready, says: `^unknown flag: --blind$`, hint: "a program is started with `kz run --blind -- PROGRAM`", mend: retyped},
		{name: "only the program is typed", typed: "kz curl https://api.test", code: 2, lay: ready, says: `^unknown command "curl"$`, hint: "a program is started with `kz run --blind -- PROGRAM`", mend: retyped},
		{name: "no program", typed: "kz run --blind", code: 2, lay: ready, says: `^no command to run$`, hint: `for example: kz run --blind -- claude`, mend: retyped},
		{name: "a flag with a slip in it", typed: "kz run --blnd -- true", code: 2, lay: ready, says: `^unknown flag: --blnd$`, hint: "did you mean --blind\\? see `kz run --help`",
			mend: func(n *newcomer, hint string) { n.types(commands(hint)[0]).Succeeds(n.t); retyped(n, hint) }},
		{name: "a configuration by a name with a slip in it", typed: "kz run --blind --config .kezero.toml -- true", code: 125, lay: ready, says: `^\.kezero\.toml: reading the file: no such file or directory$`,
			hint: `check the path; without --config the \.keyzero\.toml of this directory or the nearest one above is taken`, mend: retyped},
		{name: "a program that is not there", typed: "kz run --blind -- crul https://api.test", code: 127, lay: ready, says: `^executing "crul": not found$`, hint: `it is in no directory of the child's PATH`, mend: retyped},
		{
			name: "a program that may not be executed", typed: "kz run --blind -- ./agent.sh", code: 126,
			lay:  func(n *newcomer) { ready(n); n.write("project/agent.sh", "#!/bin/sh\nexit 0\n") },
			says: `^executing "\./agent\.sh": permission denied$`, hint: "`chmod \\+x` makes it so",
			mend: func(n *newcomer, hint string) {
				n.types(commands(hint)[0] + " ./agent.sh").Succeeds(n.t)
				n.types("kz run --blind -- ./agent.sh").Succeeds(n.t)
			},
		},
		{
			name: "a port that is in use", typed: "kz proxy --listen \"$TAKEN\"",
			lay: func(n *newcomer) {
				ready(n)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					n.t.Fatal(err)
				}
				n.t.Cleanup(func() { _ = l.Close() })
				n.Env = append(n.Env, "TAKEN="+l.Addr().String())
			},
			says: `^listening on 127\.0\.0\.1:\d+: address already in use$`, hint: `--listen; 127\.0\.0\.1:0 takes a free port$`,
			mend: func(n *newcomer, _ string) {
				// SIGTERM ends it as it should.
				res := n.types("kz proxy --listen 127.0.0.1:0 --env-file ../home/client.env & until test -s ../home/client.env; do sleep 0.05; done; kill $!; wait $!")
				if res.Code != 0 && res.Code != 143 || len(spoken(res, "error")) > 0 {
					n.t.Errorf("exit code %d:\n%s", res.Code, res.Stderr)
				}
			},
		},
		{
			name: "kz inside a blind session", typed: "kz run --blind --quiet -- kz put API_KEY", lay: ready,
			says: "^`kz put` is refused inside a blind session$", hint: `.`,
			mend: func(n *newcomer, _ string) { n.types("kz run --blind -- kz validate").Succeeds(n.t) },
		},
		{
			name: "a secret that is not configured", typed: "kz run --blind --only API_KEY,NOT_THERE -- true", code: 2, lay: ready,
			says: `^--only names a secret that is not configured$`, hint: `^the configured secrets are API_KEY$`,
			mend: func(n *newcomer, _ string) { n.types("kz run --blind --only API_KEY -- true").Succeeds(n.t) },
		},
		{
			name: "a state directory that cannot be written", typed: "XDG_STATE_HOME=/proc/none " + calls, lay: ready,
			says: `.`, hint: `.`, mend: retyped,
		},
	}
}
