package cli

import (
	"strings"
	"testing"
)

// TestWgetReadsTheUsersSettingsFirst: the user's file stands for the system's, kz's for the user's.
func TestWgetReadsTheUsersSettingsFirst(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		parent []string
		want   string
	}{
		{"the file in HOME", []string{"HOME=/h"}, "/h/.wgetrc"},
		{"a file that WGETRC names", []string{"HOME=/h", "WGETRC=/w"}, "/w"},
		{"the same in another order", []string{"WGETRC=/w", "HOME=/h"}, "/w"},
		{"the system's has been replaced before", []string{"SYSTEM_WGETRC=/s", "HOME=/h"}, "/h/.wgetrc"},
		{"there is no home", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env, _ := blindChild(t, func(s *envSpec) { s.Blind.CA.Wgetrc = "/run/wgetrc" }, tt.parent...)
			if env["WGETRC"] != "/run/wgetrc" || env["SYSTEM_WGETRC"] != tt.want {
				t.Errorf("WGETRC=%s SYSTEM_WGETRC=%s, want %s", env["WGETRC"], env["SYSTEM_WGETRC"], tt.want)
			}
		})
	}
	if env, _ := blindChild(t, nil, "HOME=/h", "WGETRC=/w"); env["WGETRC"] != "/w" || env["SYSTEM_WGETRC"] != "" {
		t.Error("without a file of kz's, wget's variables are touched")
	}
}

// TestWgetrc: what switches checks off, or goes round the proxy, is set back.
func TestWgetrc(t *testing.T) {
	t.Parallel()
	got := string(wgetrc("/run dir/bundle.pem"))
	for _, line := range []string{"ca_certificate = /run dir/bundle.pem\n", "check_certificate = on\n", "use_proxy = on\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("without %q:\n%s", line, got)
		}
	}
}

func TestPHPReadsTheSettingsAfterItsOwn(t *testing.T) {
	t.Parallel()
	withPHP := func(s *envSpec) { s.Blind.CA.PHP = "/run/php.ini" }
	if env, _ := blindChild(t, withPHP); env["PHP_INI_SCAN_DIR"] != ":/run" {
		t.Errorf("PHP looks into %q", env["PHP_INI_SCAN_DIR"])
	}
	if env, _ := blindChild(t, withPHP, "PHP_INI_SCAN_DIR=/own"); env["PHP_INI_SCAN_DIR"] != "/own:/run" {
		t.Errorf("PHP looks into %q", env["PHP_INI_SCAN_DIR"])
	}
	if env, _ := blindChild(t, nil, "PHP_INI_SCAN_DIR=/own"); env["PHP_INI_SCAN_DIR"] != "/own" {
		t.Error("without a file of kz's, PHP's variable is touched")
	}
	const want = "curl.cainfo = \"/run dir/bundle.pem\"\nopenssl.cafile = \"/run dir/bundle.pem\"\n"
	if got := string(phpINI("/run dir/bundle.pem")); !strings.HasSuffix(got, want) {
		t.Errorf("the settings are\n%s", got)
	}
}
