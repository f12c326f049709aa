package webhook

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"weir/webhook/text"
)

// What a drift command asks for.
const (
	DriftCheck  = "check"  // compare now
	DriftRevert = "revert" // a pull request that puts back what the code says
	DriftAdopt  = "adopt"  // a pull request that changes the code to what is deployed
	DriftAccept = "accept" // a pull request that adds a rule to ignore it
)

var driftVerbs = []string{DriftCheck, DriftRevert, DriftAdopt, DriftAccept}

// Drifted is what follows the word drift.
type Drifted struct {
	Verb string // DriftCheck, DriftRevert, DriftAdopt or DriftAccept
	// Addresses of resources, and of outputs as output.NAME, as Terraform
	// writes them; none: all of the project. DriftCheck has none.
	Addresses []string
	// IDs are by which the provider knows resources, as its documentation says
	// for imports, by address: those exist, and are to be imported. Only of
	// DriftAdopt; each is of one of Addresses. Nil for none.
	IDs map[string]string

	// Of DriftAccept, which has all three.
	Owner  string // login, or ORG/TEAM, without @
	Reason string
	Until  string // a day that exists, YYYY-MM-DD; it may be over
}

// Limits of a drift command; those of the owner and of the reason are the
// limits of a rule in weir.yaml.
const (
	maxAddresses = 50
	maxAddress   = 500
	maxIDs       = 20
	maxID        = 2048 // as long as the longest names of resources in clouds
	maxOwner     = 200
	maxReason    = 1000
)

// drift reads the word after drift, and returns those that follow it.
func (c *Command) drift(words []string) (rest []string, problem string) {
	const list = "`drift check`, `drift revert`, `drift adopt` or `drift accept`"
	if len(words) == 0 || strings.HasPrefix(words[0], "-") {
		return nil, "What about the drift? There is " + list + "."
	}
	verb := strings.ToLower(words[0])
	if !slices.Contains(driftVerbs, verb) {
		return nil, "There is no command `drift` with " + quote(words[0]) + nearest(words[0], driftVerbs, ": it is "+list+".")
	}
	c.Drift = &Drifted{Verb: verb}
	return words[1:], ""
}

var (
	// addressForm is the form of addresses, see Terraform's "Resource
	// address reference".
	addressForm = regexp.MustCompile(`^` + addressPart + `$`)
	// withID are the forms of ADDRESS=ID, up to the equals sign: a key may hold
	// one too. The second is for keys whose quotes are gone.
	withID = []*regexp.Regexp{
		regexp.MustCompile(`^` + addressPart + `=`),
		regexp.MustCompile(`^(?:[^\[\]"=]|\[[^\[\]"]*\])+=`),
	}
	// within is the way to the module that something is in.
	within = regexp.MustCompile(`^(?:module\.` + namePart + keyPart + `\.)*`)
	others = regexp.MustCompile(`^(?:data|output|module)\.`) // what is no managed resource
	// bareKey is a key whose quotes are gone, as they go where a person does
	// not quote the whole address once more.
	bareKey = regexp.MustCompile(`\[([^\[\]"]*)\]`)
	digits  = regexp.MustCompile(`^[0-9]+$`)
	owner   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(?:/[A-Za-z0-9_.-]+)?$`)
)

const (
	namePart = `[\p{L}_][\p{L}\p{N}_-]*`
	keyPart  = `(?:\[(?:[0-9]+|"(?:[^"\\]|\\.)*")\])?`

	addressPart = `(?:module\.` + namePart + keyPart + `\.)*(?:(?:data\.)?` + namePart + `\.` + namePart + keyPart + `|output\.` + namePart + `)`
)

// add reads an address, or ADDRESS=ID. The id is all that follows the equals
// sign, whatever it is; where it holds a space or a quote, it or the whole
// stands in single quotes, as text.Words reads them.
func (d *Drifted) add(word string) (problem string) {
	address, id, imports := parted(word)
	if !addressForm.MatchString(address) {
		address = bareKey.ReplaceAllStringFunc(address, func(k string) string {
			k = k[1 : len(k)-1]
			if digits.MatchString(k) {
				return "[" + k + "]"
			}
			return `["` + strings.ReplaceAll(k, `\`, `\\`) + `"]`
		})
	}
	switch {
	case d.Verb == DriftCheck:
		return "I do not know what " + quote(word) + " means here: `drift check` is about whole projects, a directory is written `-d DIR`."
	case strings.HasPrefix(word, "="):
		return "There is no address before the equals sign of " + quote(word) + ": an id is written `ADDRESS=ID`, without spaces around the sign."
	case !plain(strings.TrimSuffix(word, id)) || !addressForm.MatchString(address):
		return quote(word) + " is not the address of a resource, such as `aws_instance.web` or `'module.a[\"x\"].aws_instance.web'`. A directory is written `-d DIR`."
	case len(address) > maxAddress:
		return "The address " + quote(address) + " is too long."
	case imports:
		if problem := d.identify(address, id); problem != "" {
			return problem
		}
	}
	if slices.Contains(d.Addresses, address) {
		return "" // once is enough
	}
	if d.Addresses = append(d.Addresses, address); len(d.Addresses) > maxAddresses {
		return "At most 50 addresses can be named: without any the command is about all."
	}
	return ""
}

// parted parts ADDRESS=ID, which is found to be that.
func parted(word string) (address, id string, found bool) {
	if addressForm.MatchString(word) {
		return word, "", false
	}
	for _, form := range withID {
		if at := form.FindStringIndex(word); at != nil {
			return word[:at[1]-1], word[at[1]:], true
		}
	}
	return word, "", false
}

// identify notes the id of a resource that is to be imported.
func (d *Drifted) identify(address, id string) (problem string) {
	known, twice := d.IDs[address]
	problem = first(
		when(d.Verb != DriftAdopt, "Only `drift adopt` takes ids behind addresses, as in "+quote(address+"="+id)+"."),
		when(others.MatchString(address[len(within.FindString(address)):]), quote(address)+" cannot be imported: only a resource has an id."),
		when(strings.TrimSpace(id) == "", "The id of "+quote(address)+" is empty: it is written `ADDRESS=ID`, without spaces around the sign."),
		when(len(id) > maxID, "The id of "+quote(address)+" is too long: 2,048 bytes are the most."),
		when(!plain(id), "The id of "+quote(address)+" has characters in it that cannot be printed."),
		when(twice && known != id, quote(address)+" is there with two ids."),
		when(!twice && len(d.IDs) == maxIDs, "At most 20 resources can be imported at once."))
	if problem != "" {
		return problem
	}
	if d.IDs == nil {
		d.IDs = map[string]string{}
	}
	d.IDs[address] = id
	return ""
}

// set reads the value of an option of accept.
func (d *Drifted) set(flag, value string) (problem string) {
	switch flag {
	case "--owner":
		d.Owner = strings.TrimPrefix(value, "@")
		return when(len(value) > maxOwner || !owner.MatchString(d.Owner), "The owner "+quote(value)+" is neither a login nor a team as ORG/TEAM.")
	case "--reason":
		d.Reason = strings.TrimSpace(value)
		return first(
			when(d.Reason == "", "The reason is empty."),
			when(len(d.Reason) > maxReason, "The reason is too long: 1,000 bytes are the most."),
			when(!plain(d.Reason), "The reason has characters in it that cannot be printed."))
	}
	d.Until = value
	_, err := time.Parse(time.DateOnly, value)
	return when(err != nil, "The end "+quote(value)+" is not a day: write it as YYYY-MM-DD.")
}

func (d *Drifted) check() string {
	if d.Verb != DriftAccept {
		return ""
	}
	for _, f := range []struct{ value, problem string }{
		{d.Owner, "`drift accept` needs `--owner NAME`: the login, or ORG/TEAM, who answers for it."},
		{d.Reason, "`drift accept` needs `--reason \"WHY\"`."},
		{d.Until, "`drift accept` needs `--until YYYY-MM-DD`: the last day that it may be so."},
	} {
		if f.value == "" {
			return f.problem
		}
	}
	return ""
}

// words are what a person would write after the verb and what names projects.
func (d *Drifted) words() []string {
	var words []string
	for _, f := range []struct{ flag, value string }{{"--owner", d.Owner}, {"--reason", d.Reason}, {"--until", d.Until}} {
		if f.value != "" {
			words = append(words, f.flag+"="+text.Quote(f.value)) // the value may begin with a dash
		}
	}
	for _, a := range d.Addresses {
		if id, ok := d.IDs[a]; ok {
			a += "=" + id
		}
		words = append(words, text.Quote(a))
	}
	return words
}

// On returns the command as it can be obeyed where it was written: on an issue
// of weir's about drift, or on a pull request. One that belongs to the other
// place becomes a Help that says so.
func (c Command) On(issue bool) Command {
	switch {
	case c.Verb == Help:
	case issue && c.Verb != Drift:
		return Command{Verb: Help, Problem: "The command `" + string(c.Verb) + "` is for pull requests. On this issue there is `drift check`, `drift revert`, `drift adopt` and `drift accept`."}
	case !issue && c.Verb == Drift && c.Drift.Verb != DriftCheck:
		return Command{Verb: Help, Problem: "The command `drift " + c.Drift.Verb + "` is for the issue that weir keeps of a project whose drift it found: write it there. It opens a pull request of its own."}
	}
	return c
}
