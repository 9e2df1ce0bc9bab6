// Package api holds what the local and the remote client share: messages, options, errors, and
// the interfaces that both implement. It is pure Go.
package api
