package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxAgain is how many tests may be run again: more than that are no accident.
const maxAgain = 3

// measuresTime are the tests that may be run again, and what they hold to the clock: a machine whose processors are taken
// away for seconds fails them. Whatever else fails has failed.
var measuresTime = map[string]string{
	"kz/ca.TestSystemRoots": "2 ms to read and merge the roots",

	"kz/masking.TestFinderIsFastOnTextEscapedInFull": "the time of a text to that of another",
	"kz/masking.TestFinderIsLinearOnHostileInput":    "the time of a text to that of another",

	"kz/proxy.TestAClientThatIsNotLetIn":                            "20 s to be told",
	"kz/proxy.TestAConnectionsRequestsBeginInTurns":                 "a request waits for its turn for a second",
	"kz/proxy.TestADeadAddressCostsAQuarterOfASecond":               "5 s for two addresses",
	"kz/proxy.TestADialGoesOnForWhoNeedsItStill":                    "15 s for 600 requests",
	"kz/proxy.TestRequestsAtTheSameMomentShareOneConnectionOfHTTP2": "a request waits for a new connection for 50 ms",
	"kz/proxy.TestRequestsToAHostOfHTTP1DoNotWaitForEachOther":      "handshakes of 200 ms overlap",
	"kz/proxy.TestWhoHoldsAllConnectionsKeepsNoOtherOut":            "8 s to be let in",
	"kz/proxy.TestWhoWaitsForADialLearnsThatItFailed":               "10 s for 40 requests",
	"kz/resolver/vault.TestALeaseOfFiveSeconds":                     "a lease in real time",
	"kz/resolver/vault.TestLeasesThatNobodyAsksForAreKept":          "leases in real time",
	"kz/test/e2e.TestAnInterruptEndsASlowStart":                     "15 s to end",
	"kz/test/e2e.TestBombs":                                         "2 s for another's request",
	"kz/test/e2e.TestEvents":                                        "the pace of events",
	"kz/test/e2e.TestH2loadBesideSlowClients":                       "2 s for another's request",
	"kz/test/e2e.TestHangingStores":                                 "35 s for a store that hangs",
	"kz/test/e2e.TestHeadsThatAreTooLong":                           "2 s for another's request",
	"kz/test/e2e.TestHostileUpstreams":                              "2 s for another's request",
	"kz/test/e2e.TestHostileUpstreamsOfHTTP2":                       "2 s for another's request",
	"kz/test/e2e.TestLongBodies":                                    "2 s for another's request",
	"kz/test/e2e.TestLongMessages":                                  "2 s for another's request",
	"kz/test/e2e.TestProxyStops":                                    "the 10 s that what is under way has",
	"kz/test/e2e.TestQuickStart":                                    "a minute for all of it",
	"kz/test/e2e.TestSlowConnections":                               "2 s for another's request",
	"kz/test/e2e.TestSlowhttptest":                                  "2 s for another's request",
	"kz/test/e2e.TestStopLetsStreamsEnd":                            "the 10 s that what is under way has",
	"kz/test/e2e.TestStormsOfFrames":                                "2 s for another's request",
	"kz/test/e2e.TestTwoHundredSecretsOverFourStores":               "the time of the slowest store to that of all",
	"kz/test/e2e.TestVeryManyHosts":                                 "2 s for another's request",
	"kz/test/e2e.TestWhoHoldsAllConnections":                        "2 s for another's request",
}

// once is what even such a test must not have failed with: that comes once in a thousand times and is a defect.
var once = regexp.MustCompile(`(?i)value|leak|canar|data race|panic|fatal error|goroutine \d+ \[`)

// failedTest notes one that failed: it may be run again, or nothing is to be.
func (s *summary) failedTest(pkg string, t *tally, name string) {
	top, _, _ := strings.Cut(name, "/")
	if measuresTime[pkg+"."+top] == "" || t.tests[name] == "run" || once.MatchString(t.text("")) {
		s.final = true
	}
	for other := range t.output {
		if (other == top || strings.HasPrefix(other, top+"/")) && t.tests[other] != "pass" && once.MatchString(t.text(other)) {
			s.final = true
		}
	}
	if s.repeatable[pkg] == nil {
		s.repeatable[pkg] = map[string]bool{}
	}
	s.repeatable[pkg][top] = true
}

// again is what may be run again: a line for each package, its name and a pattern. It is empty when nothing failed, or
// something that must not be.
func (s *summary) again() []string {
	if s.final || s.forbidden > 0 {
		return nil
	}
	n := 0
	var lines []string
	for _, pkg := range slices.Sorted(maps.Keys(s.repeatable)) {
		names := slices.Sorted(maps.Keys(s.repeatable[pkg]))
		n += len(names)
		lines = append(lines, pkg+" ^("+strings.Join(names, "|")+")$")
	}
	if n > maxAgain {
		return nil
	}
	return lines
}
