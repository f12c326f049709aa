// Weir is a pull-request bot for Terraform and OpenTofu.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"weir/integration/demo"
	"weir/server"
	"weir/server/control"
)

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	fine    = 0
	failed  = 1
	misused = 2
)

type commands struct {
	Server struct {
		Config string `help:"Configuration file; without it the environment alone." placeholder:"FILE" type:"path"`
	} `cmd:"" help:"Serve webhooks, do jobs, show pages."`
	Demo struct {
		Once bool `help:"Play the story once, print every comment, check each step, and end."`
	} `cmd:"" help:"Show the main job on this machine: no account, nothing to install."`
	Validate struct {
		Dir string `arg:"" optional:"" default:"." help:"Repository to check."`
	} `cmd:"" help:"Check a repository's configuration and list its projects."`
	Store struct {
		Init struct {
			URL string `arg:"" optional:"" help:"dynamodb://TABLE?region=REGION; default: WEIR_STORE"`
		} `cmd:"" help:"Make the table that several servers share."`
		Copy struct {
			From string `arg:"" help:"bolt://FILE or dynamodb://TABLE?region=REGION"`
			To   string `arg:"" help:"the same; it must be empty"`
		} `cmd:"" help:"Copy all records, while no weir runs on either store."`
	} `cmd:"" help:"Prepare and move the store of records."`
	Drift struct {
		Check struct {
			Repo      string `arg:"" help:"OWNER/NAME"`
			Dir       string `short:"d" help:"Only projects in this directory."`
			Workspace string `short:"w" help:"Only projects of this workspace."`
			Project   string `short:"p" help:"Only this project."`
			DataDir   string `help:"data_dir of the weir that runs on this machine." default:"./.weir" env:"WEIR_DATA_DIR"`
		} `cmd:"" help:"Have the weir on this machine compare now what is deployed with Git."`
	} `cmd:"" help:"Look for drift."`
	Version struct{} `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: it ends when its command does, or soon after ctx.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli, kong.Name("weir"), kong.Description("A pull-request bot for Terraform and OpenTofu."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(stderr, "weir:", err)
		return failed
	}
	parsed, err := parser.Parse(args)
	if exit == fine { // --help has answered
		return fine
	}
	if err != nil {
		fmt.Fprintf(stderr, "weir: %v\nTry: weir --help\n", err)
		return misused
	}
	switch parsed.Command() {
	case "server":
		err = server.Main(ctx, cli.Server.Config, environ, version, stderr)
	case "demo":
		err = demo.Run(ctx, demo.Options{Once: cli.Demo.Once, Version: version, Environ: environ, Out: stdout, Log: stderr})
	case "validate", "validate <dir>":
		err = server.Validate(cli.Validate.Dir, stdout)
	case "store init", "store init <url>":
		err = server.StoreInit(ctx, cli.Store.Init.URL, environ, stdout)
	case "store copy <from> <to>":
		err = server.StoreCopy(ctx, cli.Store.Copy.From, cli.Store.Copy.To, stdout)
	case "drift check <repo>":
		c := cli.Drift.Check
		var said string
		said, err = control.Ask(ctx, c.DataDir, control.Request{Repo: c.Repo, Dir: c.Dir, Workspace: c.Workspace, Project: c.Project})
		if err == nil {
			_, err = fmt.Fprintln(stdout, said)
		}
	case "version":
		_, err = fmt.Fprintln(stdout, "weir", version)
	}
	var misuse interface{ Misused() bool }
	switch {
	case err == nil:
		return fine
	case errors.As(err, &misuse) && misuse.Misused():
		fmt.Fprintln(stderr, "weir:", err)
		return misused
	}
	fmt.Fprintln(stderr, "weir:", err)
	return failed
}
