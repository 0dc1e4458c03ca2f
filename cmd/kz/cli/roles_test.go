package cli

var testPrograms = map[string]func(){}
