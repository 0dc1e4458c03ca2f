package e2e_test

const (
	until    = "LINE & p=$!; until test -s kz.env; do sleep 0.05; done; kill $p; wait $p"
	whileRun = "kz run --blind --quiet -- sleep 60 & p=$!; until kz status --metrics >/dev/null 2>&1; do sleep 0.05; done; LINE; c=$?; kill $p; wait $p; exit $c"
	hash     = `"$(sha256sum .keyzero.toml | cut -d ' ' -f 1)"`
	session  = `"$(grep -l api.test ~/.local/state/kz/audit/* | head -n 1 | sed 's/.*-\(........\).*/\1/')"`
)

// documentedCommands are all commands that a text shows, in an order in which a person could type them.
func documentedCommands() []documented {
	fromNothing := []documented{
		{line: "kz version", shows: `^kz `},
		{line: "kz help run", shows: `--blind`},
		{line: "kz help topics", shows: `(?m)^  quickstart `},
		{line: "kz help errors", shows: `host_not_bound`},
		{line: "kz demo", shows: `kz_masked_[0-9a-f]{32}`},
		{line: "kz completion bash > ~/.local/share/bash-completion/completions/kz", before: "mkdir -p ~/.local/share/bash-completion/completions"},
		{line: "kz completion fish > ~/.config/fish/completions/kz.fish", before: "mkdir -p ~/.config/fish/completions"},
		{line: `kz completion zsh > "${fpath[1]}/_kz"`, as: `bash -c 'fpath=("" "$HOME"); LINE'`},
		{line: `echo 'eval "$(kz hook --shell bash)"' >> ~/.bashrc`},
		{line: `echo 'eval "$(kz hook --shell zsh)"' >> ~/.zshrc`},
		{line: `echo 'kz hook --shell fish | source' >> ~/.config/fish/config.fish`},
		{line: "kz ca status", shows: `kz ca install|no authority`},
		{line: "go run ./cmd/kz demo", why: "kz demo is run above"},
		{line: "./test/run", why: "it runs this"},
		{line: "kz proxy --authority installed", by: "TestCAOnThisMachine"},
		{line: "kz ca install", by: "TestCAOnThisMachine"},
		{line: "kz ca install --yes 3F:8A:…", by: "TestCAInstallWithoutATerminal"},
		{line: "kz ca export --out kz-ca.pem", by: "TestCAExport"},
		{line: "kz ca uninstall", by: "TestCAUninstall"},
		{line: "kz init --print", shows: `\[secrets\.OPENAI_API_KEY\]`},
		{line: "kz init", shows: `\.keyzero\.toml`},
		{line: "kz init OPENAI_API_KEY GITHUB_TOKEN", anew: true, shows: `\.keyzero\.toml`},
		{line: "kz init --backend hashicorp_vault --set address=https://vault.internal:8200", anew: true, shows: `\.keyzero\.toml`},
		{line: "kz init OPENAI_API_KEY", by: "TestQuickStart"},
		{line: "kz trust", by: "TestQuickStart"},
		{line: "kz put OPENAI_API_KEY", by: "TestQuickStart"},
		{line: `kz run --blind -- sh -c 'echo $OPENAI_API_KEY; curl -s -H "Authorization: Bearer $OPENAI_API_KEY" https://api.openai.com/v1/models'`, by: "TestQuickStart"},
		{line: "kz backends add local --type local", anew: true, shows: `\.keyzero\.toml`},
		{line: "kz backends add local --type env_file --set path=secrets.env", anew: true, shows: `\.keyzero\.toml`},
		{line: "kz backends add vault --type hashicorp_vault --set address=https://vault.internal:8200", shows: `\.keyzero\.toml`},
		{line: "kz add", by: "TestAddAsksStepByStep"},
		{line: "kz add GITHUB_TOKEN --backend local", shows: `kz trust`},
		{line: "kz add STRIPE_KEY --backend vault --path secret/stripe --field key --hosts api.stripe.com --mask sk_live_{mask}", shows: `kz trust`},
		{line: "kz backends add aws --type aws_secrets_manager --set auth=static --set access_key_id=AKIA… --set secret_access_key=secret:AWS_BOOT_KEY",
			with: []string{"AKIA…", "AKIAEXAMPLE"}, before: "kz add AWS_BOOT_KEY --backend local --expose omit", shows: `\.keyzero\.toml`},
		{line: "kz backends rm vault", before: "sed -i '/secrets.STRIPE_KEY/,/^$/d' .keyzero.toml"},
		{line: "kz doctor", by: "TestDoctorMeasuresTheRuntimesOfThisMachine"},
		{line: "kz doctor --json", by: "TestDoctorMeasuresTheRuntimesOfThisMachine"},
		{line: "kz doctor -- node agent.js", by: "TestDoctorTellsWhatACommandDid"},
		{line: `kz run --blind -- claude -p "fix the test" --allowedTools Bash`, by: "TestClaudeCode"},
		{line: `kz run --blind -- codex exec -s workspace-write "fix the test"`, by: "TestCodex"},
		{line: "kz export --shell fish | source", by: "TestExport"},
		{line: "docker run --network kz --env-file kz.env -v ./ca:/kz:ro agent", why: "it needs a Docker daemon"},
	}
	ready := []documented{
		{line: "kz validate", shows: `3 secrets, 3 masked, in 1 backend`},
		{line: "kz validate --config bundle.yaml", shows: `1 secret`},
		{line: "kz trust --yes HASH", with: []string{"HASH", hash}, before: "echo >> .keyzero.toml", shows: `approved`},
		{line: "kz put STRIPE_KEY", answers: map[string]string{"kz: the value of STRIPE_KEY: ": "sk_a-value-typed\n"}, shows: `stored STRIPE_KEY in local`},
		{line: "kz put TLS_KEY < key.pem", shows: `stored TLS_KEY in local`},
		{line: "kz put --missing"},
		{line: "kz put --missing --from .env"},
		{line: "kz backends", shows: `local`},
		{line: "kz backends --json", shows: `"aws_secrets_manager"`},
		{line: "kz backends check", shows: `local +.*ok`},
		{line: "kz status", shows: `STRIPE_KEY +ok`},
		{line: "kz status --env production --json", shows: `"STRIPE_KEY"`},
		{line: "kz status --metrics", as: whileRun, shows: `kz_secret_uses_total`},
		{line: "kz reload", as: whileRun},
		{line: "kz trust && kz reload", as: whileRun},
		{line: "kz run --blind -- claude", shows: `never swapped: OPENAI_API_KEY`},
		{line: "kz run -- ./deploy.sh"},
		{line: "kz run --env production -- ./migrate.sh --verbose"},
		{line: "kz run --blind --only OPENAI_API_KEY -- python agent.py", shows: `never swapped: OPENAI_API_KEY`},
		{line: "kz explain STRIPE_KEY", shows: `api\.test`},
		{line: "kz explain STRIPE_KEY --json", shows: `"api\.test`},
		{line: "kz audit", before: calls},
		{line: "kz audit --verify", shows: `whole|ok`},
		{line: "kz audit --follow", as: "timeout -s INT 1 LINE; test $? = 124"},
		{line: "kz audit --session 4f0c1a2b --json", with: []string{"4f0c1a2b", session}, shows: `"host":"api\.test"`},
		{line: `eval "$(kz export)"`, as: `LINE && test -n "$STRIPE_KEY"`},
		{line: `eval "$(kz export --only STRIPE_KEY)"`, as: `LINE && test -n "$STRIPE_KEY" && test -z "$OPENAI_API_KEY"`},
		{line: "kz proxy --env-file kz.env", as: until, before: "rm -f kz.env"},
		{line: "kz proxy --env-file kz.env --ca-dir ./ca", as: until, before: "rm -f kz.env"},
		{line: "kz proxy --listen 172.30.0.1:8080 --advertise 172.30.0.1 --env-file kz.env --ca-dir ./ca --client-ca-dir /kz --health 9465",
			with: []string{"172.30.0.1:8080", "127.0.0.1:0", "172.30.0.1", "127.0.0.1", "9465", "$FREE"}, as: until, before: "rm -f kz.env"},
		{line: "mkdir -p -m 0700 ~/.kz-agent"},
		{line: "kz proxy --listen 172.30.250.1:8080 --advertise 172.30.250.1 --session-file ~/.kz-agent/session --env-file ~/.kz-agent/client.env --ca-dir ~/.kz-agent/ca --client-ca-dir /kz --health 9465",
			with: []string{"172.30.250.1:8080", "127.0.0.1:0", "172.30.250.1", "127.0.0.1", "9465", "$FREE"},
			as:   "LINE & p=$!; until test -s ~/.kz-agent/client.env; do sleep 0.05; done; kill $p; wait $p"},
		{line: "kz status --health 9465", with: []string{"9465", "$FREE"}, before: "rm -f kz.env",
			as: "kz proxy --env-file kz.env --health $FREE & p=$!; until test -s kz.env; do sleep 0.05; done; LINE; c=$?; kill $p; wait $p; exit $c"},
	}
	for i := range ready {
		ready[i].in = "ready"
	}
	return append(append(fromNothing, ready...), documented{line: "kz backends check vault --json", in: "vault", shows: `"vault"`})
}
