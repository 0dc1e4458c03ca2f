//go:build race

package ca

// raceFactor is how much slower code may be under the race detector, on a machine that does much else.
const raceFactor = 100
