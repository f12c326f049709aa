// Package github is all that weir says to GitHub and asks of it.
//
// It speaks as a GitHub App or with a token, keeps GitHub's rate limits, reads
// every list to its end, and repeats what failed on the way without ever
// posting a comment twice.
package github
