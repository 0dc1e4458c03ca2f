package config

func localTypes() []Type {
	return []Type{
		{
			Name: Keychain, Label: "System keychain", Help: "macOS Keychain, Secret Service, Windows Credential Manager", byName: true,
			Settings: []SettingType{
				{Key: "service", Label: "Service", Type: "string", Help: "under which the entries stand; kz unless given"},
			},
		},
		{
			Name: Local, Label: "Local store", Help: "a file of kz's own, encrypted with age; kz put writes it", byName: true,
			Settings: []SettingType{
				{Key: "path", Label: "Path", Type: "path", Help: "kz/local.age under the user's configuration directory unless given"},
			},
		},
		{
			Name: Age, Label: "age or sops file", Help: "keys of a dotenv or JSON file that age or sops has encrypted", keyed: true, byName: true,
			Settings: []SettingType{
				{Key: "path", Label: "Path", Type: "path", Required: true, Help: "relative to the file that says it"},
				{Key: "identity", Label: "Identity", Type: "string", Sensitive: true, Help: "an AGE-SECRET-KEY-1…"},
				{Key: "identity_file", Label: "Identity file", Type: "path",
					Help: "SOPS_AGE_KEY_FILE, then sops/age/keys.txt under the user's configuration directory, when both are left out"},
			},
		},
		{
			Name: Exec, Label: "Command", Help: "what a command prints; one line end at its end is dropped", byName: true,
			Settings: []SettingType{
				{Key: "command", Label: "Command", Type: "path", Required: true, program: true, Help: "an absolute path; nothing is looked up on PATH"},
				{Key: "args", Label: "Arguments", Type: "list", Help: "{id} in one stands for the secret's reference"},
				{Key: "keep_env", Label: "Environment", Type: "list", Help: "variables it gets beside PATH HOME USER LANG LC_ALL TMPDIR"},
			},
		},
		{
			Name: EnvFile, Label: "Dotenv file", Help: "keys of a dotenv file", keyed: true, byName: true,
			Settings: []SettingType{
				{Key: "path", Label: "Path", Type: "path", Required: true, Help: "relative to the file that says it"},
			},
		},
		{Name: Env, Label: "Environment", Help: "variables of kz's own environment, removed from the child", keyed: true, byName: true, Settings: []SettingType{}},
	}
}
