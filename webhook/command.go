package webhook

// Verb is the first word of a command.
type Verb string

const (
	Plan    Verb = "plan"
	Apply   Verb = "apply"
	Unlock  Verb = "unlock"
	Explain Verb = "explain"
	Help    Verb = "help"
)

// Command is one line that a person wrote to weir. A line that addresses weir
// but cannot be obeyed has Verb Help and says why in Problem.
type Command struct {
	Verb      Verb
	Dir       string // cleaned, slash-separated, inside the repository
	Workspace string
	Project   string
	Extra     []string // after --
	Problem   string   // what was wrong, in a sentence with the nearest match; "" for a good command
}
