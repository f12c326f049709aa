package project

import "weir/planner/project/config"

// The types of weir.yaml, which the package config reads.
type (
	// Config is a repository's weir.yaml.
	Config = config.Config
	// Listed is one entry of its projects.
	Listed = config.Project
	// Autoplan says which changes plan a project.
	Autoplan = config.Autoplan
	// ApprovalRule asks for approvals where its conditions are met.
	ApprovalRule = config.ApprovalRule
	// When are the conditions of an ApprovalRule.
	When = config.When
	// Require is what an ApprovalRule asks for.
	Require = config.Require
	// DriftRule says when projects are compared with what is deployed.
	DriftRule = config.DriftRule
	// IgnoreRule names differences that are known.
	IgnoreRule = config.IgnoreRule
	// SeverityRule says how bad differences are.
	SeverityRule = config.SeverityRule
	// ConfigError is one mistake in weir.yaml.
	ConfigError = config.Error
	// ConfigErrors are all mistakes in one weir.yaml.
	ConfigErrors = config.Errors
)

// File is the name of a repository's configuration, at its root.
const File = config.File

// Parse reads weir.yaml, see config.Parse.
func Parse(file string, data []byte) (*Config, error) { return config.Parse(file, data) }
