//go:build !race

package ca

const raceFactor = 1
