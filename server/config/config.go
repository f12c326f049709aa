// Package config is the server's configuration: one struct, read once, strict.
//
// It comes from a YAML file and from the environment, which wins: every key is
// also WEIR_SECTION_KEY (github.base_url is WEIR_GITHUB_BASE_URL). Every
// secret key has a twin with _file that names a file to read it from.
package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/robfig/cron/v3"
)

// Secret is a value that shows itself to nobody: printed, logged or encoded in
// any form it says only that it is hidden. Reveal gives the value.
type Secret string

const hidden = "(hidden)"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is what %#v prints.
func (s Secret) GoString() string { return s.String() }

// Format covers every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText covers JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue covers package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Config is the whole configuration. The desc of each key stands in
// docs/configuration.md, which a test holds equal to this struct.
type Config struct {
	Listen       string    `yaml:"listen" default:"127.0.0.1:4141" desc:"address and port to listen on"`
	PublicURL    string    `yaml:"public_url" desc:"where people and GitHub reach this server; links in comments begin with it. Default: http:// and listen"`
	DataDir      string    `yaml:"data_dir" default:"./.weir" desc:"checkouts, caches, the embedded store, states of projects without a backend"`
	GitHub       GitHub    `yaml:"github"`
	Repos        []string  `yaml:"repos" desc:"repositories that are served, as patterns of owner/name (acme/*, acme/infra-*); all others are refused"`
	AllowForks   bool      `yaml:"allow_forks" default:"false" desc:"plan pull requests from forks too. A plan runs the pull request's code with this server's credentials: leave it off unless every fork is trusted"`
	BaseBranches []string  `yaml:"base_branches" desc:"branches beside the default one whose pull requests may be applied, as patterns (release/*; ** reaches over slashes). Pull requests against all others are planned and never applied. The rules are read from the base branch: list only names that not everybody with write access may create and push to"`
	Store        string    `yaml:"store" desc:"where records are kept: bolt://FILE, for one server, or dynamodb://TABLE?region=REGION (also &endpoint=URL), for any number of them. Default: weir.db in data_dir"`
	Artifacts    string    `yaml:"artifacts" desc:"where plan files and logs are kept, sealed: file://DIR or s3://BUCKET?region=REGION (also &endpoint=URL&use_path_style=true for a server that speaks S3). Default: artifacts in data_dir"`
	Dispatch     string    `yaml:"dispatch" desc:"queue that spreads the work over several servers: sqs://QUEUE.fifo?region=REGION (also &endpoint=URL). Without it they look into the store every few seconds"`
	SealKey      string    `yaml:"seal_key" desc:"what seals them: file://FILE (32 random bytes, made at the first start) or awskms://KEY?region=REGION. Default: seal.key in data_dir"`
	Terraform    Terraform `yaml:"terraform"`
	Drift        Drift     `yaml:"drift"`
	CommandNames []string  `yaml:"command_names" default:"weir" desc:"first words of commands in comments; add atlantis while migrating"`
	Pages        Pages     `yaml:"pages"`
	LogLevel     string    `yaml:"log_level" default:"info" desc:"debug, info, warn or error"`

	file string // that it was read from; "" where it was not
}

// GitHub says how to reach GitHub and as whom.
type GitHub struct {
	BaseURL           string `yaml:"base_url" default:"https://api.github.com/" desc:"of the REST API; https://HOST/api/v3/ for GitHub Enterprise Server. http only for a loopback host"`
	App               App    `yaml:"app"`
	Token             Secret `yaml:"token" desc:"personal or machine token, instead of an App"`
	TokenFile         string `yaml:"token_file" desc:"file with the token; read again when it changes"`
	WebhookSecret     Secret `yaml:"webhook_secret" desc:"secret of the webhook; several, separated by line breaks, while it is being changed"`
	WebhookSecretFile string `yaml:"webhook_secret_file" desc:"file with the secret, one a line"`
}

// App is a GitHub App.
type App struct {
	ID             int64  `yaml:"id" desc:"of the GitHub App"`
	PrivateKey     Secret `yaml:"private_key" desc:"of the App, PEM"`
	PrivateKeyFile string `yaml:"private_key_file" desc:"file with the private key"`
}

// Terraform says what runs and what it sees.
type Terraform struct {
	Binary      string   `yaml:"binary" desc:"terraform or tofu, a name on the PATH or a path. Default: the first of the two that is on the PATH"`
	MaxParallel int      `yaml:"max_parallel" default:"0" desc:"terraform processes at once on this server; 0: one a CPU"`
	Env         []string `yaml:"env" default:"AWS_*,GOOGLE_*,ARM_*,TF_VAR_*,*_PROXY" desc:"which of the server's environment variables terraform sees, as patterns; never WEIR_*"`
	Confine     string   `yaml:"confine" default:"auto" desc:"keep terraform, which runs the pull request's code, from reading weir's own files (keys, tokens, store) with Linux's Landlock: on, off, or auto: where that keeps terraform from nothing else. It then cannot make new files directly in a directory that holds one of these; auto does it where weir's user may not write there anyway"`
}

// Drift is the default for repositories that set none.
type Drift struct {
	Schedule    string   `yaml:"schedule" desc:"when what is deployed is compared with Git, for repositories that do not say: five fields of cron, in UTC; without it only they are, and on demand"`
	MaxParallel int      `yaml:"max_parallel" default:"1" desc:"drift checks at once on this server, of terraform.max_parallel; the runs of pull requests always go first"`
	Attribution string   `yaml:"attribution" desc:"cloudtrail: ask AWS CloudTrail who changed what was changed outside, with the server's AWS credentials; without it nobody is asked"`
	Role        string   `yaml:"attribution_role" desc:"ARN of a role to take for resources of other accounts; {account} in it stands for theirs"`
	Own         []string `yaml:"attribution_own" desc:"patterns of ARNs that terraform changes resources with, where that is not the server's own: they are left out"`
	EnvPrefix   string   `yaml:"env_prefix" default:"DRIFT_" desc:"drift checks see the server's variables that begin so, without this beginning, in place of those of that name: read-only credentials, such as DRIFT_AWS_PROFILE"`
	Notify      []Notify `yaml:"notify" desc:"who is told of drift beside the issues: name, format (slack or json), url or url_file, secret or secret_file, severity, repos of each; see docs/notices.md. Only in the file"`
}

// Notify is a place that is told of drift beside the issues.
type Notify struct {
	Name       string   `yaml:"name"`
	Format     string   `yaml:"format"`
	URL        Secret   `yaml:"url"`
	URLFile    string   `yaml:"url_file"`
	Secret     Secret   `yaml:"secret"`
	SecretFile string   `yaml:"secret_file"`
	Severity   string   `yaml:"severity"` // the least that counts; "" for all
	Repos      []string `yaml:"repos"`    // patterns; none for all
}

// Environ returns what drift checks see in place of variables of the same name.
// Credentials are not mixed: where one variable of a family has a place (the
// family of AWS_PROFILE is AWS_), all others of it are empty, but for those that
// only say where.
func (d Drift) Environ(environ []string) map[string]string {
	variables := map[string]string{}
	if d.EnvPrefix == "" {
		return variables
	}
	families := map[string]bool{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if own, ok := strings.CutPrefix(name, d.EnvPrefix); ok && own != "" && !strings.HasPrefix(own, "WEIR_") {
			variables[own] = value
			if family, _, ok := strings.Cut(own, "_"); ok && family != "TF" && !places.MatchString(own) {
				families[family] = true
			}
		}
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		family, _, _ := strings.Cut(name, "_")
		if _, replaced := variables[name]; families[family] && !replaced && !strings.HasPrefix(name, d.EnvPrefix) && !places.MatchString(name) {
			variables[name] = ""
		}
	}
	return variables
}

// places are variables that say where something is, and open nothing.
var places = regexp.MustCompile(`_(REGION|ZONE|PROJECT|ENVIRONMENT|SUBSCRIPTION_ID|TENANT_ID|CA_BUNDLE)$|_ENDPOINT_URL`)

// Pages protects the pages and /api.
type Pages struct {
	User         string `yaml:"user" desc:"user name for the pages and /api; without it they exist only while listen and public_url are loopback"`
	Password     Secret `yaml:"password" desc:"password for them"`
	PasswordFile string `yaml:"password_file" desc:"file with the password"`
}

// finish fills what depends on other keys and checks everything, so that what
// is wrong is said at start and not in the middle of an apply.
//
// origin tells where a key was set, "" where it was not.
func (c *Config) finish(origin func(key string) string) []string {
	var bad []string
	complain := func(key, format string, args ...any) {
		where := origin(key)
		if where != "" {
			where = " (" + where + ")"
		}
		bad = append(bad, key+where+": "+fmt.Sprintf(format, args...))
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		complain("listen", "%q is no address such as 127.0.0.1:4141", c.Listen)
	}
	if c.PublicURL == "" && err == nil {
		if host == "" || host == "0.0.0.0" || host == "::" {
			host = "localhost"
		}
		c.PublicURL = "http://" + net.JoinHostPort(host, port)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		complain("public_url", "%q is no URL such as https://weir.example.com", c.PublicURL)
	}
	if abs, err := filepath.Abs(c.DataDir); err != nil {
		complain("data_dir", "%v", err)
	} else {
		c.DataDir = abs
	}
	for _, d := range []struct {
		key   *string
		value string
	}{
		{&c.Store, placeURL("bolt", filepath.Join(c.DataDir, "weir.db"))},
		{&c.Artifacts, placeURL("file", filepath.Join(c.DataDir, "artifacts"))},
		{&c.SealKey, placeURL("file", filepath.Join(c.DataDir, "seal.key"))},
	} {
		if *d.key == "" {
			*d.key = d.value
		}
	}
	if scheme, rest, ok := strings.Cut(c.Store, "://"); !ok || rest == "" || scheme != "bolt" && scheme != "dynamodb" {
		complain("store", "%q is neither bolt://FILE nor dynamodb://TABLE?region=REGION", c.Store)
	} else if _, err := BoltFile(c.Store); err != nil && scheme == "bolt" {
		complain("store", "%v", err)
	}
	if c.Dispatch != "" && !strings.HasPrefix(c.Dispatch, "sqs://") {
		complain("dispatch", "%q is not sqs://QUEUE.fifo?region=REGION", c.Dispatch)
	}
	if c.Dispatch != "" && !c.Shared() {
		complain("dispatch", "spreads the work of several servers, which needs a store that they share: dynamodb://")
	}
	if why := badPlace(c.Artifacts, "s3"); why != "" {
		complain("artifacts", "%s; write file:///DIR, file://./DIR or s3://BUCKET?region=REGION", why)
	}
	if why := badPlace(c.SealKey, "awskms"); why != "" {
		complain("seal_key", "%s; write file:///FILE, file://./FILE or awskms://KEY?region=REGION", why)
	}
	if base, err := url.Parse(c.GitHub.BaseURL); err != nil || base.Host == "" {
		complain("github.base_url", "%q is no URL such as https://api.github.com/", c.GitHub.BaseURL)
	} else if base.Scheme != "https" && !(base.Scheme == "http" && IsLoopback(base.Hostname())) {
		complain("github.base_url", "must be https: a token would travel in the clear (http is for loopback hosts)")
	}
	if !strings.HasSuffix(c.GitHub.BaseURL, "/") {
		c.GitHub.BaseURL += "/"
	}
	app, token := c.GitHub.App.ID != 0 || c.GitHub.App.PrivateKey != "", c.GitHub.Token != ""
	switch {
	case app && token:
		complain("github", "set either app or token, not both")
	case !app && !token:
		complain("github", "set app (id and private_key_file) or token_file: weir cannot speak to GitHub without one")
	case app && (c.GitHub.App.ID == 0 || c.GitHub.App.PrivateKey == ""):
		complain("github.app", "needs both id and private_key_file")
	}
	if len(c.WebhookSecrets()) == 0 {
		complain("github.webhook_secret_file", "is needed: without it anybody could send deliveries")
	}
	if len(c.Repos) == 0 {
		complain("repos", `is needed: name what is served, such as ["acme/*"]`)
	}
	for _, pattern := range c.Repos {
		if _, err := path.Match(pattern, "owner/name"); err != nil || strings.Count(pattern, "/") != 1 {
			complain("repos", "%q is no pattern such as acme/* or acme/infra", pattern)
		}
	}
	for _, pattern := range c.BaseBranches {
		if pattern == "" || !doublestar.ValidatePattern(pattern) || strings.HasPrefix(pattern, "refs/") {
			complain("base_branches", "%q is no pattern of branch names such as release/*", pattern)
		}
	}
	if c.Terraform.MaxParallel < 0 {
		complain("terraform.max_parallel", "is negative")
	}
	for _, pattern := range c.Terraform.Env {
		if _, err := path.Match(pattern, "NAME"); err != nil {
			complain("terraform.env", "%q is no pattern such as AWS_*", pattern)
		}
	}
	if !slices.Contains([]string{"auto", "on", "off"}, c.Terraform.Confine) {
		complain("terraform.confine", "%q is none of auto, on, off", c.Terraform.Confine)
	}
	if !slices.Contains([]string{"", "cloudtrail"}, c.Drift.Attribution) {
		complain("drift.attribution", "%q is not cloudtrail", c.Drift.Attribution)
	}
	if c.Drift.MaxParallel < 1 {
		complain("drift.max_parallel", "is less than one")
	}
	if c.Drift.Schedule != "" {
		if _, err := cron.ParseStandard(c.Drift.Schedule); err != nil || len(strings.Fields(c.Drift.Schedule)) != 5 || strings.Contains(c.Drift.Schedule, "=") {
			complain("drift.schedule", "%q is not minute hour day month weekday, such as 0 5 * * 1-5", c.Drift.Schedule)
		}
	}
	if c.Drift.EnvPrefix != "" && !strings.HasSuffix(c.Drift.EnvPrefix, "_") || strings.HasPrefix(c.Drift.EnvPrefix, "WEIR_") {
		complain("drift.env_prefix", "%q does not end with an underscore, or begins with WEIR_", c.Drift.EnvPrefix)
	}
	if len(c.CommandNames) == 0 {
		complain("command_names", "is empty: nobody could write a command")
	}
	if (c.Pages.User == "") != (c.Pages.Password == "") {
		complain("pages", "needs both user and password_file, or neither")
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		complain("log_level", "%q is none of debug, info, warn, error", c.LogLevel)
	}
	return bad
}

// BoltFile is the file of an embedded store, bolt://FILE. In its URL % is %25.
func BoltFile(raw string) (string, error) {
	path, err := url.PathUnescape(strings.TrimPrefix(raw, "bolt://"))
	if err != nil {
		return "", fmt.Errorf("%q: write %%25 for %% in a path", raw)
	}
	return path, nil
}

// IsShared says that several servers may use the store of a URL.
func IsShared(raw string) bool { return strings.HasPrefix(raw, "dynamodb://") }

// Shared says that several servers may use the store.
func (c *Config) Shared() bool { return IsShared(c.Store) }

// WebhookSecrets are all secrets that a delivery may be signed with.
func (c *Config) WebhookSecrets() []Secret {
	var secrets []Secret
	for line := range strings.Lines(c.GitHub.WebhookSecret.Reveal()) {
		if line = strings.TrimSpace(line); line != "" {
			secrets = append(secrets, Secret(line))
		}
	}
	return secrets
}

// NamedRepos are the served repositories that are named exactly, and whether
// these are all.
func (c *Config) NamedRepos() (named []string, all bool) {
	named = slices.DeleteFunc(slices.Clone(c.Repos), func(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) })
	return named, len(named) == len(c.Repos)
}

// Serves reports whether a repository is on the allow-list. Names of
// repositories are compared as GitHub does, without case. A pattern's * never
// reaches over the slash.
func (c *Config) Serves(repo string) bool {
	for _, pattern := range c.Repos {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(repo)); ok && err == nil {
			return true
		}
	}
	return false
}

// ShowPages reports whether pages and /api exist: with a password always,
// without one only where nobody else can reach them.
func (c *Config) ShowPages() bool {
	if c.Pages.User != "" {
		return true
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || !IsLoopback(host) {
		return false
	}
	public, err := url.Parse(c.PublicURL)
	return err == nil && IsLoopback(public.Hostname())
}

// Level is the log level.
func (c *Config) Level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked by Load
	return level
}

// IsLoopback reports whether a host is this machine only.
func IsLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
