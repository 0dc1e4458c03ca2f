// Package resolvertest has what tests of secrets need: a [Fake] store in
// memory, and [Run], the suite that every store passes. Package awsfake below it
// is an AWS for those tests.
package resolvertest
