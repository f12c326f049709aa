package plan

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	tfjson "github.com/hashicorp/terraform-json"
)

// Decoder reads the JSON form of a plan while it is written, one resource at
// a time, and keeps only what a Summary is made of: the states before and
// after, which are most of it, never stand in memory.
type Decoder struct {
	*io.PipeWriter
	done chan struct{}
	plan tfjson.Plan
	err  error
}

// NewDecoder returns a Decoder that is written to, and then read with Plan.
func NewDecoder() *Decoder {
	read, write := io.Pipe()
	d := &Decoder{PipeWriter: write, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.err = decode(read, &d.plan)
		// Whoever writes must not wait for a reader that has given up.
		_, _ = io.Copy(io.Discard, read)
	}()
	return d
}

// Plan ends the input and returns what was read. It has to be called once.
func (d *Decoder) Plan() (*tfjson.Plan, error) {
	_ = d.Close() // of a pipe: cannot fail
	<-d.done
	if d.err == nil {
		d.err = d.plan.Validate()
	}
	return &d.plan, d.err
}

// skipped is a JSON value that is not looked at.
type skipped struct{}

func (skipped) UnmarshalJSON([]byte) error { return nil }

// SkipText skips the lines before the first one that begins with a brace. With
// -json, too, OpenTofu says what it finds odd about its own configuration as
// text first. Where there is no such line, nothing is left to read.
func SkipText(from io.Reader) io.Reader {
	r := bufio.NewReader(from)
	for {
		if next, err := r.Peek(1); err != nil || next[0] == '{' {
			return r
		}
		for {
			if _, err := r.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
				break // an error shows in the next Peek
			}
		}
	}
}

func decode(from io.Reader, plan *tfjson.Plan) error {
	d := json.NewDecoder(SkipText(from))
	d.UseNumber() // identifiers may be numbers too large for a float
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var field any = &skipped{}
		switch key {
		case "format_version":
			field = &plan.FormatVersion
		case "terraform_version":
			field = &plan.TerraformVersion
		case "variables":
			field = &plan.Variables
		case "configuration":
			field = &plan.Config
		case "output_changes":
			field = &plan.OutputChanges
		case "relevant_attributes":
			field = &plan.RelevantAttributes
		case "deferred_changes":
			field = &plan.DeferredChanges
		case "action_invocations":
			field = &plan.ActionInvocations
		case "resource_changes":
			err = each(d, func(c *tfjson.ResourceChange) {
				if matters(c) {
					plan.ResourceChanges = append(plan.ResourceChanges, c)
				}
			})
			field = nil
		case "resource_drift":
			err = each(d, func(c *tfjson.ResourceChange) { plan.ResourceDrift = append(plan.ResourceDrift, c) })
			field = nil
		}
		if field != nil {
			err = d.Decode(field)
		}
		if err != nil {
			return fmt.Errorf("%v: %w", key, err)
		}
	}
	return expect(d, '}')
}

// each decodes a list, one element at a time.
func each[T any](d *json.Decoder, f func(*T)) error {
	token, err := d.Token()
	if token == nil || err != nil {
		return err // null is an empty list
	}
	if token != json.Delim('[') {
		return fmt.Errorf("got %v, want a list", token)
	}
	for d.More() {
		element := new(T)
		if err := d.Decode(element); err != nil {
			return err
		}
		f(element)
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, want json.Delim) error {
	switch token, err := d.Token(); {
	case err != nil:
		return err
	case token != want:
		return fmt.Errorf("got %v, want %v", token, want)
	}
	return nil
}
