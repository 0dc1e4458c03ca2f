package azurekv

// Proxy is what the store's own transport asks.
var Proxy = proxy
