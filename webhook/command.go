package webhook

import (
	"slices"
	"strings"

	"weir/webhook/text"
)

// Verb is the first word of a command.
type Verb string

const (
	Plan    Verb = "plan"
	Apply   Verb = "apply"
	Unlock  Verb = "unlock"
	Explain Verb = "explain"
	Drift   Verb = "drift"
	Help    Verb = "help"
)

// MaxCommands is how many commands one comment can hold.
const MaxCommands = 10

// Command is one line that a person wrote to weir. A line that addresses weir
// but cannot be obeyed has Verb Help and says why in Problem.
type Command struct {
	Verb      Verb
	Dir       string   // cleaned, slash-separated, inside the repository; "." is its root, "" means all
	Workspace string   // a name that Terraform allows
	Project   string   // only without Dir and Workspace
	Extra     []string // after --: each one argument for terraform plan, such as -target=null_resource.a
	Drift     *Drifted // of Drift; nil for all others
	Problem   string   // what was wrong, in a sentence with the nearest match; "" for a good command
}

// Parse returns the commands in the text of a comment, in their order. A
// command is a line whose first word is one of names, or @ and the login of
// the bot, with or without its "[bot]"; upper and lower case are the same.
// Lines in fenced or indented code, in quotes and in HTML comments are not
// commands, nor is prose that happens to begin with the name.
//
// At most MaxCommands are returned; if there are more, the last of them is a
// Help that says so.
func Parse(body string, names []string, bot string) []Command {
	var commands []Command
	for _, line := range text.Lines(body) {
		rest, ok := addressed(line, names, bot)
		if !ok {
			continue
		}
		c, ok := parseLine(rest)
		if !ok {
			continue
		}
		if len(commands) == MaxCommands {
			commands[MaxCommands-1] = Command{Verb: Help, Problem: "A comment can hold at most 10 commands: the tenth and all after it were not read."}
			break
		}
		commands = append(commands, c)
	}
	return commands
}

// Line returns the command as a person would write it to name, so that Parse
// reads it as the same command again. Problem is not part of it.
func (c Command) Line(name string) string {
	words := []string{name, string(c.Verb)}
	if c.Drift != nil {
		words = append(words, c.Drift.Verb)
	}
	for _, f := range []struct{ flag, value string }{{"-d", c.Dir}, {"-w", c.Workspace}, {"-p", c.Project}} {
		if f.value != "" {
			words = append(words, f.flag, text.Quote(f.value))
		}
	}
	if c.Drift != nil {
		words = append(words, c.Drift.words()...)
	}
	if len(c.Extra) > 0 {
		words = append(words, "--")
		for _, e := range c.Extra {
			words = append(words, text.Quote(e))
		}
	}
	return strings.Join(words, " ")
}

// addressed returns what follows the name in a line that begins with it.
func addressed(line string, names []string, bot string) (rest string, ok bool) {
	line = strings.TrimLeft(line, " ")
	word, rest := line, ""
	// Phones and macOS type a no-break space easily.
	if i := strings.IndexAny(line, " \t\u00a0"); i >= 0 {
		word, rest = line[:i], strings.TrimLeft(line[i:], " \t\u00a0")
	}
	if login, at := strings.CutPrefix(word, "@"); at {
		bot = strings.TrimSuffix(bot, "[bot]")
		return rest, bot != "" && (strings.EqualFold(login, bot) || strings.EqualFold(login, bot+"[bot]"))
	}
	for _, name := range names {
		if name != "" && strings.EqualFold(word, name) {
			return rest, true
		}
	}
	return "", false
}

// parseLine reads what follows the name. It is not ok when the line is prose.
func parseLine(line string) (c Command, ok bool) {
	if isProse(line) {
		return Command{}, false
	}
	words, problem := text.Words(line)
	if problem != "" {
		return Command{Verb: Help, Problem: problem}, true
	}
	if len(words) == 0 {
		return Command{Verb: Help}, true
	}
	verb, known := verbOf(words[0])
	if !known {
		return Command{Verb: Help, Problem: "There is no command " + quote(words[0]) + nearest(words[0], verbNames, ".")}, true
	}
	c = Command{Verb: verb}
	if problem := c.arguments(words[1:]); problem != "" {
		return Command{Verb: Help, Problem: problem}, true
	}
	return c, true
}

var verbNames = []string{string(Plan), string(Apply), string(Unlock), string(Explain), string(Drift), string(Help)}

// verbOf returns the verb that a word names, whatever its case.
func verbOf(word string) (verb Verb, ok bool) {
	for _, v := range verbNames {
		if strings.EqualFold(word, v) {
			return Verb(v), true
		}
	}
	switch strings.ToLower(word) {
	case "", "-h", "-help", "--help":
		return Help, true
	}
	return "", false
}

// proseWords follow the name in sentences, and are no command written wrongly.
var proseWords = strings.Fields(`
	a about again all also although always am an and are as asked at based be because been before being but by
	came can cannot can't could couldn't did didn't do does doesn't doing don't for found from gave gets gives goes got
	had has have hasn't haven't here how if in into is isn't it its it's just keeps knows left looked looks made makes
	may me might must my needs never no not now of on only or our posted commented ran reported runs
	said saw says seems shall should shouldn't showed shows so still takes than that the them then there they this
	thinks to told too tried tries until us used uses waits wanted wants was wasn't we went were what when where
	which while who why will with without won't worked works would wouldn't you your`)

// inflected are forms of the verbs. Alone they are a command written wrongly,
// with more words after them a sentence.
var inflected = strings.Fields(`applied applies applying drifted drifting drifts explained explains helped helps planned planning plans unlocked unlocks`)

// isProse says whether what follows the name goes on as a sentence about weir
// rather than to it.
func isProse(line string) bool {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return false
	}
	word := strings.ToLower(strings.ReplaceAll(fields[0], "’", "'"))
	if _, known := verbOf(word); known {
		return false
	}
	word = strings.Trim(word, ".,:;!?)(\"'*_—–")
	options := strings.Contains(line, " -")
	switch {
	case word == "": // a dash or other punctuation
		return true
	case slices.Contains(proseWords, word):
		return true
	case slices.Contains(inflected, word):
		return len(fields) > 1 && !options
	case strings.HasPrefix(word, "-"):
		return word == "-"
	}
	if _, near := text.Closest(word, verbNames); near {
		return false
	}
	// Several words that end as a sentence does are no command.
	last := fields[len(fields)-1]
	return len(fields) > 2 && !options && strings.ContainsAny(last[len(last)-1:], ".!?,;:")
}
