package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
)

// Error is a configuration that cannot be used: every mistake, one a line.
type Error struct {
	File     string
	Mistakes []string
}

func (e *Error) Error() string {
	return "configuration " + e.File + ":\n  " + strings.Join(e.Mistakes, "\n  ")
}

// Load reads file (none if it is empty), lets environ win, reads the _file
// twins and checks everything. A mistake is told with its line in the file, or
// with the variable that made it. Unknown WEIR_ variables come back as warnings.
func Load(file string, environ []string) (*Config, []string, error) {
	c := &Config{file: file}
	mistakes := &Error{File: file}
	for _, k := range keysOf(c) {
		if err := k.set(k.standard); err != nil {
			return nil, nil, fmt.Errorf("default of %s: %w", k.Name, err)
		}
	}
	var data []byte
	if file != "" {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			return nil, nil, fmt.Errorf("read configuration: %w", err)
		}
		if err := yaml.UnmarshalWithOptions(data, c, yaml.Strict(), yaml.DisallowUnknownField()); err != nil && !errors.Is(err, io.EOF) {
			// Without the source lines around it: they may hold a secret.
			mistakes.Mistakes = append(mistakes.Mistakes, strings.ReplaceAll(strings.TrimSpace(yaml.FormatError(err, false, false)), "\n", "\n  "))
			return nil, nil, mistakes
		}
	}
	warnings := fromEnv(c, environ, mistakes)
	readFiles(c, mistakes)
	mistakes.Mistakes = append(mistakes.Mistakes, c.finish(originOf(data, environ))...)
	if len(mistakes.Mistakes) > 0 {
		return nil, warnings, mistakes
	}
	return c, warnings, nil
}

// originOf returns a function that says where a key was set: by a variable, or
// in which line of the file.
func originOf(data []byte, environ []string) func(key string) string {
	tree, err := parser.ParseBytes(data, 0)
	return func(key string) string {
		name := envName(key)
		if slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			return name
		}
		if err != nil || len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
			return ""
		}
		path, err := yaml.PathString("$." + key)
		if err != nil {
			return ""
		}
		node, err := path.FilterFile(tree)
		if err != nil || node == nil {
			return ""
		}
		return fmt.Sprintf("line %d", node.GetToken().Position.Line)
	}
}

// envName is the variable that sets a key.
func envName(key string) string {
	return "WEIR_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Key is one key of the configuration.
type Key struct {
	Name     string // github.base_url
	Env      string // WEIR_GITHUB_BASE_URL
	Type     string // text, number, list, yes or no, secret
	Default  string
	Desc     string
	standard string
	value    reflect.Value
}

// Keys lists every key in the order of the struct.
func Keys() []Key { return keysOf(&Config{}) }

func keysOf(c *Config) []Key {
	var keys []Key
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			name := prefix + field.Tag.Get("yaml")
			if field.Type.Kind() == reflect.Struct {
				walk(v.Field(i), name+".")
				continue
			}
			standard := field.Tag.Get("default")
			keys = append(keys, Key{
				Name: name, Env: envName(name),
				Type: typeName(field.Type), Default: standard, Desc: field.Tag.Get("desc"),
				standard: standard, value: v.Field(i),
			})
		}
	}
	walk(reflect.ValueOf(c).Elem(), "")
	return keys
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Secret]():
		return "secret"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Bool:
		return "yes or no"
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		return "number"
	}
	return "text"
}

// set parses a value as the environment spells it: lists with commas.
func (k Key) set(text string) error {
	switch k.value.Kind() {
	case reflect.String:
		k.value.SetString(text)
	case reflect.Int, reflect.Int64:
		if text == "" {
			text = "0"
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", text)
		}
		k.value.SetInt(n)
	case reflect.Bool:
		if text == "" {
			text = "false"
		}
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		k.value.SetBool(b)
	case reflect.Slice:
		if k.value.Type() != reflect.TypeFor[[]string]() {
			if text != "" {
				return errors.New("can only be set in the configuration's file")
			}
			return nil
		}
		var list []string
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		k.value.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("a value of kind %s cannot be set", k.value.Kind())
	}
	return nil
}

func fromEnv(c *Config, environ []string, mistakes *Error) (warnings []string) {
	keys := keysOf(c)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "WEIR_") {
			continue
		}
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Env == name })
		if i < 0 {
			warnings = append(warnings, name+" in the environment is no key of the configuration")
			continue
		}
		if err := keys[i].set(value); err != nil {
			mistakes.Mistakes = append(mistakes.Mistakes, name+": "+err.Error())
		}
	}
	return warnings
}

// readFiles reads every secret that is given as a file.
func readFiles(c *Config, mistakes *Error) {
	type file struct {
		key, file string
		into      *Secret
	}
	files := []file{
		{"github.token", c.GitHub.TokenFile, &c.GitHub.Token},
		{"github.webhook_secret", c.GitHub.WebhookSecretFile, &c.GitHub.WebhookSecret},
		{"github.app.private_key", c.GitHub.App.PrivateKeyFile, &c.GitHub.App.PrivateKey},
		{"pages.password", c.Pages.PasswordFile, &c.Pages.Password},
	}
	for i := range c.Drift.Notify {
		n, key := &c.Drift.Notify[i], fmt.Sprintf("drift.notify[%d].", i)
		files = append(files, file{key + "url", n.URLFile, &n.URL}, file{key + "secret", n.SecretFile, &n.Secret})
	}
	for _, f := range files {
		if f.file == "" {
			continue
		}
		if *f.into != "" {
			mistakes.Mistakes = append(mistakes.Mistakes, f.key+": set it or "+f.key+"_file, not both")
			continue
		}
		data, err := os.ReadFile(f.file)
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		if err != nil {
			mistakes.Mistakes = append(mistakes.Mistakes, fmt.Sprintf("%s_file: %s: %v", f.key, f.file, err))
			continue
		}
		*f.into = Secret(strings.TrimSpace(string(data)))
		if *f.into == "" {
			mistakes.Mistakes = append(mistakes.Mistakes, fmt.Sprintf("%s_file: %s is empty", f.key, f.file))
		}
	}
}

// Print writes the configuration as it is used, one key a line, secrets
// hidden.
func (c *Config) Print(w io.Writer) error {
	for _, k := range keysOf(c) {
		if _, err := fmt.Fprintf(w, "%s: %v\n", k.Name, k.value.Interface()); err != nil {
			return err
		}
	}
	return nil
}
