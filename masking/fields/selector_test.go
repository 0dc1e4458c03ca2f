package fields

import (
	"strings"
	"testing"
)

func TestIsCredential(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"accesskey", "accesstoken", "apikey", "apitoken", "authtoken", "clientsecret", "password", "privatekey",
		"refreshtoken", "secret", "secretkey", "token", "API_KEY", "Client-Secret", "__refresh-_Token--", "token" + strings.Repeat("-", 251),
	} {
		if !IsCredential(name) {
			t.Errorf("%q is not taken for a credential", name)
		}
	}
	for _, name := range []string{
		"", "_", "tokens", "toke", "key", "max_tokens", "api key", "api.key", "apikey2", "xapikey", "refreshtokenx", "user",
		"to\u212Aen", "\u017fecret", "token\x00", "пароль", "token" + strings.Repeat("-", 252),
	} {
		if IsCredential(name) {
			t.Errorf("%q is taken for a credential", name)
		}
	}
}

func TestNewSelectorReportsEveryBadPointer(t *testing.T) {
	t.Parallel()
	_, err := NewSelector(Selection{Pointers: []string{"/ok", "", "a/b", "/a~", "/a~2/b", "/~1~0", "/a~0~"}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range []string{`""`, `"a/b"`, `"/a~"`, `"/a~2/b"`, `"/a~0~"`} {
		if !strings.Contains(err.Error(), "pointer "+p) {
			t.Errorf("error does not name %s: %v", p, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 5 {
		t.Errorf("%d errors, want 5: %v", n, err)
	}
}

func TestSelectorIsEmpty(t *testing.T) {
	t.Parallel()
	if !(*Selector)(nil).Empty() || !selector(t, Selection{}).Empty() {
		t.Error("nothing is not empty")
	}
	for _, s := range []Selection{{Names: []string{""}}, {Pointers: []string{"/"}}, {Credential: true}} {
		if selector(t, s).Empty() {
			t.Errorf("%+v is empty", s)
		}
	}
}

func TestPointersAreExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pointer, in, want string }{
		{"/", `{"":"M"}`, `{"":"S"}`},
		{"//", `{"":{"":"M"}}`, `{"":{"":"S"}}`},
		{"/a/", `{"a":{"":"M","a":"M"}}`, `{"a":{"":"S","a":"M"}}`},
		{"/~01", `{"~1":"M","/":"M"}`, `{"~1":"S","/":"M"}`},
		{"/~1~0", `{"/~":"M"}`, `{"/~":"S"}`},
		{"/00", `["M"]`, `["M"]`},
		{"/00", `{"00":"M"}`, `{"00":"S"}`},
		{"/01", `["M","M"]`, `["M","M"]`},
		{"/-", `["M"]`, `["M"]`},
		{"/-0", `["M"]`, `["M"]`},
		{"/10", `["M",1,2,3,4,5,6,7,8,9,"M"]`, `["M",1,2,3,4,5,6,7,8,9,"S"]`},
		{"/a", `{"a":"M"}{"A":"M"}`, `{"a":"S"}{"A":"M"}`},
		{"/a", `{"a":{"a":"M"}}`, `{"a":{"a":"M"}}`},
		{"/a/a", `{"a":["M",{"a":"M"}]}`, `{"a":["M",{"a":"M"}]}`},
		{"/a/0", `{"a":[["M"],"M"]}`, `{"a":[["M"],"M"]}`},
	} {
		in := strings.ReplaceAll(c.in, "M", mask)
		want := strings.ReplaceAll(strings.ReplaceAll(c.want, "M", mask), "S", secretJSON)
		expect(t, in, want, options(t, JSON, Selection{Pointers: []string{c.pointer}}))
	}
	t.Run("a name that looks like an index is no element", func(t *testing.T) {
		t.Parallel()
		in := `["` + mask + `",{"k":"` + mask + `"}]{"0":"` + mask + `"}`
		i := strings.LastIndex(in, mask)
		want := in[:i] + secretJSON + in[i+len(mask):]
		expect(t, in, want, options(t, JSON, Selection{Names: []string{"0"}}))
		expect(t, in, want, options(t, JSON, Selection{Names: []string{"0"}, Pointers: []string{"/x/y"}}))
	})
}
