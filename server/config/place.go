package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// placeURL makes the URL of a file or directory, whatever its path is made of:
// what would have a meaning in a URL is escaped.
func placeURL(scheme, path string) string {
	return scheme + "://" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()
}

// badPlace says why a URL is neither a file:// URL nor one of the given scheme,
// "" if it is one of them. A path that was meant to be relative is nearly always
// what stands where a file:// URL has its host. The URL is not repeated: what
// was mistaken for one may be a secret.
func badPlace(raw, scheme string) string {
	const escape = "; in a path write %23 for #, %3F for ? and %25 for %"
	u, err := url.Parse(raw)
	if strings.HasPrefix(raw, "file://") && (err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(raw, "#")) {
		return "a file:// URL holds a path and nothing else" + escape
	}
	if err != nil || u.Scheme == "" {
		return "it is no URL"
	}
	if u.User != nil {
		return "it holds a user: credentials come from the environment, as AWS's own tools read them"
	}
	switch u.Scheme {
	case "file":
		switch {
		case u.Host != "" && u.Host != "." && u.Host != "localhost":
			return fmt.Sprintf("its path is to begin with / or ./, and not with %q", u.Host)
		case strings.Trim(u.Path, "/") == "":
			return "it names no path"
		}
		return ""
	case scheme:
		if u.Host == "" && strings.Trim(u.Path, "/") == "" {
			return "it names nothing after " + scheme + "://"
		}
		return ""
	}
	return fmt.Sprintf("scheme %q is not supported", u.Scheme)
}

// Private are the files and directories that are weir's alone: what terraform
// has no business with. Absolute paths.
func (c *Config) Private() []string {
	private := []string{c.DataDir}
	files := []string{
		c.file, c.GitHub.App.PrivateKeyFile, c.GitHub.TokenFile, c.GitHub.WebhookSecretFile, c.Pages.PasswordFile,
		pathOf(c.Store, "bolt"), pathOf(c.Artifacts, "file"), pathOf(c.SealKey, "file"),
	}
	for _, n := range c.Drift.Notify {
		files = append(files, n.URLFile, n.SecretFile)
	}
	for _, file := range files {
		if file == "" {
			continue
		}
		if abs, err := filepath.Abs(file); err == nil { // fails only without a working directory
			private = append(private, abs)
		}
	}
	return private
}

// pathOf is the path that a bolt:// or file:// URL names, "" for every other
// one. The host of a file:// URL is . before a relative path.
func pathOf(raw, scheme string) string {
	if scheme == "file" {
		u, err := url.Parse(raw)
		switch {
		case err != nil || u.Scheme != scheme:
			return ""
		case u.Host == ".":
			return "." + u.Path
		}
		return u.Path
	}
	rest, ok := strings.CutPrefix(raw, scheme+"://")
	path, err := url.PathUnescape(rest)
	if !ok || err != nil {
		return ""
	}
	return path
}
