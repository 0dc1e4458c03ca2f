//go:build !race

package bed

const raceEnabled = false
