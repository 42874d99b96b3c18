package main

import (
	"os"
	"testing"

	"aiv-sdk/aiv"
)

func TestTheRecordedAnswerIsRead(t *testing.T) {
	body, err := os.ReadFile("cases/answer/resp-1.json")
	if err != nil {
		t.Fatal(err)
	}
	query := aiv.Query{Prompt: "Which bicycle lock is the safest?", Surface: "acme"}
	outcome, err := Acme{}.Parse(query, &aiv.Response{Status: 200, Body: string(body), IsText: true})
	if err != nil {
		t.Fatal(err)
	}
	if answer, ok := outcome.(aiv.Answer); !ok || answer.Text != "The U9 is the safest lock." {
		t.Errorf("%+v", outcome)
	}
}
