//go:build race

package ca

// raceFactor is how much slower code may be under the race detector.
const raceFactor = 20
