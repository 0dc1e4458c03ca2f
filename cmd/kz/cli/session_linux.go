package cli

func ancestorSession() bool { return false }
