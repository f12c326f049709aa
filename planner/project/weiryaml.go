package project

import "weir/planner/project/config"

// What weir.yaml says is read by the package config; these are its names here.
type (
	Config        = config.Config
	ProjectConfig = config.Project
	Autoplan      = config.Autoplan
	ApprovalRule  = config.ApprovalRule
	When          = config.When
	Require       = config.Require
	DriftRule     = config.DriftRule
	ConfigError   = config.Error
	ConfigErrors  = config.Errors
)

// File is the name of a repository's configuration, at its root.
const File = config.File

// Parse reads weir.yaml, see config.Parse.
func Parse(file string, data []byte) (*Config, error) { return config.Parse(file, data) }
