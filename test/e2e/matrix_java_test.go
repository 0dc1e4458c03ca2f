package e2e_test

// javaRows are the JVM's clients.
func javaRows() []row { return nil }
