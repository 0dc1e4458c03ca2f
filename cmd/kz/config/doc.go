// Package config turns configuration files into validated values: backends, secrets with their bindings, and egress.
//
//	cfg, err := config.Load(config.Options{Dir: dir, File: flagConfig, Env: flagEnv, Getenv: os.Getenv})
//	if err != nil {
//		return err // config.Problems: every problem of every file, each with file, line and column
//	}
//	if open := cfg.Untrusted(store); len(open) > 0 {
//		// a discovered file decides where secrets go: it needs `kz trust`
//	}
//	if err := cfg.Blind(false); err != nil { … } // a masked secret without hosts
//
// TOML and YAML are read into one small tree with positions, and everything after that works on the tree, so that both
// formats have the same schema and the same checks. The files hold references, never values; as a person may have
// pasted a value all the same, the text of a problem quotes keys and the package's own words, but nothing else of a file.
//
// The package reads files and nothing else: no store is contacted, no name is resolved.
package config
