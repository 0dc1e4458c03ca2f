package vault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"

	"kz/resolver"
)

// loginAnswer is what Vault says to a login, or to the renewal of a token.
type loginAnswer struct {
	Auth struct {
		Token     string `json:"client_token"`
		Type      string `json:"token_type"`
		Duration  int64  `json:"lease_duration"`
		Renewable bool
	}
}

// logIn sends a login to the method mounted at mount. refusal words an answer that refuses it.
func logIn(ctx context.Context, o *Options, c *api.Client, mount string, body any, refusal func(*resolver.Error, *answerError)) (grant, error) {
	var answer loginAnswer
	began := o.Now()
	if err := sendInto(ctx, c, call{method: "POST", path: "auth/" + mount + "/login", body: body}, &answer); err != nil {
		e, refused := explain(ctx, o, err)
		if refused != nil {
			e.Kind = resolver.AccessDenied
			refusal(e, refused)
			if refused.status == http.StatusForbidden || refused.status == http.StatusNotFound { // so it also is where nothing is mounted
				e.Advice += "; and that the method is mounted there (auth_mount): vault auth list"
			}
		}
		return grant{}, e
	}
	if answer.Auth.Token == "" {
		return grant{}, notVault()
	}
	g := grant{token: resolver.NewSecret(answer.Auth.Token), own: true, revocable: answer.Auth.Type != "batch"}
	if d := seconds(answer.Auth.Duration); d > 0 {
		g.loginAgain, g.ends = began.Add(d*4/5), began.Add(d)
	}
	return g, nil
}

// appRole logs in with a role and its secret ID.
type appRole struct {
	opt       *Options
	unwrapped resolver.Secret // the secret ID that was wrapped
	lost      error           // why it will never be had
}

func (a *appRole) login(ctx context.Context, c *api.Client) (grant, error) {
	secret := a.opt.SecretID
	if !a.opt.WrappedSecretID.IsZero() {
		var err error
		if secret, err = a.unwrap(ctx, c); err != nil {
			return grant{}, err
		}
	}
	body := map[string]string{"role_id": strings.TrimSpace(a.opt.RoleID)}
	if !secret.IsZero() {
		body["secret_id"] = strings.TrimSpace(secret.Reveal())
	}
	return logIn(ctx, a.opt, c, a.mount(), body, a.refusal)
}

func (a *appRole) mount() string {
	if a.opt.AuthMount != "" {
		return a.opt.AuthMount
	}
	return "approle"
}

// unwrap gives the secret ID out of its wrapping token, which is good for one
// use: what came out is kept, and so is that it is spent.
func (a *appRole) unwrap(ctx context.Context, c *api.Client) (resolver.Secret, error) {
	if !a.unwrapped.IsZero() || a.lost != nil {
		return a.unwrapped, a.lost
	}
	var answer struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	token := resolver.NewSecret(strings.TrimSpace(a.opt.WrappedSecretID.Reveal()))
	if a.lost = unsendable(token, "the wrapped secret ID"); a.lost != nil {
		return resolver.Secret{}, a.lost
	}
	wrap := "vault write -wrap-ttl=10m -f auth/" + a.mount() + "/role/NAME/secret-id"
	if err := sendInto(ctx, c, call{method: "POST", path: "sys/wrapping/unwrap", token: token}, &answer); err != nil {
		e, refused := explain(ctx, a.opt, err)
		if refused != nil {
			e.Kind, e.Message = resolver.AccessDenied, "the wrapped secret ID was unwrapped already, or has expired"
			e.Advice = "if that was not another run of kz, somebody else may have read it: destroy that secret ID; a new one comes from " + wrap
			a.lost = e
		}
		return resolver.Secret{}, e
	}
	if answer.Data.SecretID == "" {
		a.lost = &resolver.Error{Kind: resolver.InvalidReference, Message: "what is wrapped is no secret ID", Advice: "wrap one: " + wrap}
		return resolver.Secret{}, a.lost
	}
	a.unwrapped = resolver.NewSecret(answer.Data.SecretID)
	return a.unwrapped, nil
}

func (a *appRole) refusal(e *resolver.Error, answer *answerError) {
	role := "auth/" + a.mount() + "/role/NAME"
	if answer.status == http.StatusForbidden { // what is wrong with the secret ID is 400
		e.Message = "Vault lets nobody log in there: no AppRole method is mounted, the role is bound to other addresses, or it is locked after failed logins"
		e.Advice = "check the role's secret_id_bound_cidrs and token_bound_cidrs (vault read " + role + ") and sys/locked-users"
		return
	}
	if a.opt.SecretID.IsZero() && a.opt.WrappedSecretID.IsZero() {
		e.Message = "Vault refuses the login: the role_id is wrong, or the role asks for a secret ID, and the backend has none"
		e.Advice = `name the secret that holds it in the backend, secret_id = { secret = "NAME" }, and check the role: vault read ` + role
		return
	}
	e.Message = "Vault refuses the login: the role_id or the secret ID is wrong, used up or expired"
	e.Advice = "make a new secret ID (vault write -f " + role + "/secret-id), and check the role: vault read " + role
}

// kubernetes logs in with the token of a service account.
type kubernetes struct{ opt *Options }

// podToken is where Kubernetes puts it (kubernetes.io/docs, "Configure Service Accounts for Pods").
const podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

func (k kubernetes) login(ctx context.Context, c *api.Client) (grant, error) {
	jwt, err := k.read(ctx)
	if err != nil {
		return grant{}, err
	}
	return logIn(ctx, k.opt, c, k.mount(), map[string]string{"role": k.opt.Role, "jwt": jwt}, k.refusal)
}

func (k kubernetes) mount() string {
	if k.opt.AuthMount != "" {
		return k.opt.AuthMount
	}
	return "kubernetes"
}

// read reads the service account's token, which Kubernetes renews in its file.
func (k kubernetes) read(ctx context.Context) (string, error) {
	path := k.opt.JWTPath
	if path == "" {
		path = podToken
	}
	text, err := resolver.Beside(ctx, k.opt.Timeout, func() (string, error) { return readSmall(path) })
	if err != nil {
		var e *resolver.Error
		if errors.As(err, &e) && e.Kind == resolver.NotFound {
			e.Kind = resolver.AccessDenied // it is the login that is missing, and not the secret
		}
		if e != nil && e.Advice == "" {
			e.Advice = "auth = \"kubernetes\" is for a pod with a service account; elsewhere name the file of its token with jwt_path"
		}
		return "", err
	}
	jwt := strings.TrimSpace(text)
	if jwt == "" {
		return "", &resolver.Error{Kind: resolver.AccessDenied, Message: "there is no token in " + path, Advice: "check what the pod has mounted there"}
	}
	return jwt, nil
}

func (k kubernetes) refusal(e *resolver.Error, answer *answerError) {
	role := shellQuote("auth/" + k.mount() + "/role/" + k.opt.Role)
	e.Message = "Vault refuses the service account's token for this role"
	e.Advice = "check the role's bound_service_account_names, bound_service_account_namespaces and audience (vault read " + role + "), and that Vault may review tokens: vault read auth/" + shellQuote(k.mount()) + "/config"
	if says(answer.body, "invalid role name") {
		e.Message = "Vault has no such role for service accounts"
		e.Advice = "check `role` and `auth_mount`: vault list " + shellQuote("auth/"+k.mount()+"/role")
	}
}

// maxFile bounds a file that holds a token: the longest are some KiB.
const maxFile = 64 << 10

// readSmall reads a file that holds a token.
func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", resolver.File(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return "", resolver.File(path, err)
	}
	return string(text), nil
}
