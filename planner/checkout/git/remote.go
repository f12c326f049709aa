package git

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"weir/planner/checkout/disk"
)

// Remote is where a repository is fetched from.
type Remote struct {
	URL      string // without credentials
	Host     string // with its port
	Protocol string // the only one that git may speak
	Repo     string // owner/name, for messages

	// Token is asked once, before the network is used first. Nil or an empty
	// token: the server is not told who asks.
	Token func(ctx context.Context) (string, error)

	asked  bool
	secret *secret
	said   []string // what must not be in a message
}

// HasCredentials says whether the server was told who asks.
func (m *Remote) HasCredentials() bool { return m.secret != nil }

// secret hands a token to git.
type secret struct {
	env  []string
	open func() (*os.File, error) // becomes descriptor 3; once a run
}

// user is whom GitHub expects in front of a token of any kind.
const user = "x-access-token"

// authorise gets credentials for the remote. A remote is for one goroutine.
func (p *Program) authorise(ctx context.Context, from *Remote) error {
	if from.asked || from.Token == nil {
		return nil
	}
	token, err := from.Token(ctx)
	if err != nil {
		return fmt.Errorf("get a token for %s: %w", from.Repo, err)
	}
	from.asked = true
	if token == "" {
		return nil
	}
	if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return fmt.Errorf("the token for %s has characters that no token has", from.Repo)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + token))
	from.said = []string{token, basic}
	from.secret = inMemory(from, basic)
	if p.Askpass || from.secret == nil {
		from.secret, err = p.byAskpass(token)
		return err
	}
	return nil
}

// inMemory gives git a configuration file without a name that holds the
// credentials as a header for this repository. Git sends it with its first request;
// a helper would be asked only after the server has refused one, which costs a
// round trip. It is nil where the system has no such files.
func inMemory(from *Remote, basic string) *secret {
	content := ""
	for _, url := range []string{strings.TrimSuffix(from.URL, ".git"), strings.TrimSuffix(from.URL, ".git") + ".git"} {
		content += fmt.Sprintf("[http \"%s\"]\n\textraHeader = \"Authorization: Basic %s\"\n", url, basic)
	}
	probe, err := memoryFile("")
	if err != nil {
		return nil
	}
	_ = probe.Close() // it is empty
	return &secret{
		env:  []string{"GIT_CONFIG_GLOBAL=/proc/self/fd/3"},
		open: func() (*os.File, error) { return memoryFile(content) },
	}
}

// askpassScript answers git's two questions; the token comes from a pipe that
// git's children inherit.
const askpassScript = "#!/bin/sh\ncase $1 in\nUsername*) echo " + user + " ;;\n*) IFS= read -r token <&3 && printf '%s\\n' \"$token\" ;;\nesac\n"

// byAskpass gives git a program to ask. It works wherever git does.
func (p *Program) byAskpass(token string) (*secret, error) {
	script := filepath.Join(p.Home, "askpass")
	if content, err := os.ReadFile(script); err != nil || string(content) != askpassScript {
		if err := disk.ReplaceFile(script, askpassScript, 0o700); err != nil {
			return nil, fmt.Errorf("write askpass: %w", err)
		}
	}
	return &secret{
		env: []string{"GIT_ASKPASS=" + script},
		open: func() (*os.File, error) {
			out, in, err := os.Pipe()
			if err != nil {
				return nil, err
			}
			// A token is far smaller than a pipe, so this does not wait.
			if _, err := in.WriteString(token + "\n"); err != nil {
				return nil, errors.Join(err, in.Close(), out.Close())
			}
			return out, in.Close()
		},
	}, nil
}

// redact takes out what must not be read in a message. Git does not print
// credentials; this is for what a server sends back.
func (m *Remote) redact(text string) string {
	if m == nil {
		return text
	}
	for _, s := range m.said {
		text = strings.ReplaceAll(text, s, "***")
	}
	return text
}

// What a URL may consist of: it stands in git's configuration too.
var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9.:\[\]_-]+$`)
	pathName = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+$`)
)

// ParseRemote checks a URL: https, or http to this machine, without
// credentials, ending in the name of the repository, and let through by allow,
// if there is one. It has no credentials yet.
func ParseRemote(repo, cloneURL string, allow func(cloneURL string) error) (*Remote, error) {
	u, err := url.Parse(cloneURL)
	if err != nil {
		return nil, fmt.Errorf("the clone URL of %s is not a URL", repo) // the error could quote credentials
	}
	if u.User != nil {
		return nil, fmt.Errorf("the clone URL of %s has credentials in it", repo)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("the clone URL %s is neither https nor http to this machine", cloneURL)
	}
	path := strings.TrimSuffix(u.Path, ".git")
	if !hostName.MatchString(u.Host) || !pathName.MatchString(u.Path) || u.RawPath != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || !hasSuffixFold(path, "/"+repo) {
		return nil, fmt.Errorf("the clone URL %s is not one of %s", cloneURL, repo)
	}
	if allow != nil {
		if err := allow(cloneURL); err != nil {
			return nil, err
		}
	}
	return &Remote{URL: cloneURL, Host: u.Host, Protocol: u.Scheme, Repo: repo}, nil
}

func hasSuffixFold(s, end string) bool {
	return len(s) >= len(end) && strings.EqualFold(s[len(s)-len(end):], end)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// AllowHost lets through the repositories of one GitHub, known by the base URL
// of its API.
func AllowHost(apiURL string) (func(cloneURL string) error, error) {
	api, err := url.Parse(apiURL)
	if err != nil || api.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of a GitHub API", apiURL)
	}
	host := strings.ToLower(api.Host)
	if host == "api.github.com" || strings.HasPrefix(host, "api.") && strings.HasSuffix(host, ".ghe.com") {
		host = strings.TrimPrefix(host, "api.")
	}
	return func(cloneURL string) error {
		u, err := url.Parse(cloneURL)
		if err == nil && (strings.EqualFold(u.Host, host) || isLoopback(api.Hostname()) && isLoopback(u.Hostname())) {
			return nil
		}
		return fmt.Errorf("the clone URL %s is not of %s", cloneURL, host)
	}, nil
}
