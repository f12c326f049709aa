// Package artifact keeps plan files and logs, sealed, under the digest of
// what they hold.
package artifact
