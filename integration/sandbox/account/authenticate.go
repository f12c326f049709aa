package account

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/integration/sandbox/record"
)

// ErrBadCredentials is the answer to credentials that are wrong or no longer
// valid.
var ErrBadCredentials = &record.Error{Status: 401, Message: "Bad credentials"}

// Authenticate reads an Authorization header: a bearer (or "token") of a
// person's, an installation's or the App's own, or Basic with a token as the
// password. No header is an anonymous identity; a bad one a *record.Error of
// status 401.
func (a *Accounts) Authenticate(header string) (Identity, error) {
	if header == "" {
		return Identity{}, nil
	}
	scheme, value, _ := strings.Cut(header, " ")
	value = strings.TrimSpace(value)
	switch strings.ToLower(scheme) {
	case "bearer", "token":
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return Identity{}, ErrBadCredentials
		}
		name, password, _ := strings.Cut(string(plain), ":")
		value = password
		if password == "" || password == "x-oauth-basic" {
			value = name
		}
	default:
		return Identity{}, ErrBadCredentials
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.Count(value, ".") == 2 {
		return a.verify(value, time.Now())
	}
	t, found := a.tokens[value]
	if !found || !t.expires.IsZero() && !time.Now().Before(t.expires) {
		return Identity{}, ErrBadCredentials
	}
	return t.id, nil
}

// verify checks the JWT that an App authenticates with: RS256 by the App's
// key, its id as the issuer, iat not in the future, exp not past and at most
// ten minutes ahead (GitHub's documentation, "Generating a JSON Web Token").
func (a *Accounts) verify(jwt string, now time.Time) (Identity, error) {
	refuse := func(message string) (Identity, error) {
		return Identity{}, &record.Error{Status: 401, Message: message}
	}
	if a.key == nil {
		return refuse("A JSON web token could not be decoded")
	}
	parts := strings.Split(jwt, ".")
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iat float64 `json:"iat"`
		Exp float64 `json:"exp"`
		Iss any     `json:"iss"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) || header.Alg != "RS256" {
		return refuse("A JSON web token could not be decoded")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(a.key, crypto.SHA256, sum[:], signature) != nil {
		return refuse("A JSON web token could not be decoded")
	}
	issuer := fmt.Sprint(claims.Iss)
	if f, ok := claims.Iss.(float64); ok {
		issuer = strconv.FormatInt(int64(f), 10)
	}
	at := float64(now.Unix())
	switch {
	case issuer != strconv.FormatInt(a.app.ID, 10):
		return refuse("'Issuer' claim ('iss') must be an Integer")
	case claims.Iat > at+1:
		return refuse("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case claims.Exp <= at:
		return refuse("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case claims.Exp > at+601:
		return refuse("'Expiration time' claim ('exp') is too far in the future")
	}
	return Identity{Kind: ByApp, App: a.app.ID, User: *a.user(a.app.Bot(), record.KindBot)}, nil
}

func decodePart(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}
