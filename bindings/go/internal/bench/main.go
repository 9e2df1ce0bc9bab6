//go:build go1.23

// Command bench measures one thing once, as the other programs of bench/ do:
//
//	bench append batch=64 ms=200 dir=/tmp/x
//
// prints one JSON object. What it moves it also checks; wrong data end it with exit code 1.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
)

var operations = map[string]func() map[string]float64{
	"append":    measureAppend,
	"one":       measureOne,
	"lines":     measureLines,
	"all":       measureAll,
	"wake":      measureWake,
	"followers": measureFollowers,
}

func main() {
	if len(os.Args) < 2 || operations[os.Args[1]] == nil {
		fail("usage: bench append|one|lines|all|wake|followers [NAME=VALUE...]")
	}
	json.NewEncoder(os.Stdout).Encode(operations[os.Args[1]]())
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", arguments...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func text(name, fallback string) string {
	for _, argument := range os.Args[2:] {
		if value, ok := strings.CutPrefix(argument, name+"="); ok {
			return value
		}
	}
	return fallback
}

func number(name string, fallback int) int {
	value, err := strconv.Atoi(text(name, strconv.Itoa(fallback)))
	must(err)
	return value
}
