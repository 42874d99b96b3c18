package aiv

// Query is what the host asks. What it does not say is empty.
type Query struct {
	ID       string
	Prompt   string
	Surface  string
	Model    string
	Language string
	Country  string
	Location string
	Device   string
	// Config is JSON that satisfies the manifest's schema.
	Config  string
	NowUnix float64
	Seed    uint32
	Extra   [][2]string
}

// Response is what came back for a request.
type Response struct {
	Status uint16
	// Headers in order, names in lower case, credentials redacted.
	Headers [][2]string
	Body    string
	// IsText is false for a body that is no UTF-8.
	IsText     bool
	ElapsedMs  uint32
	ReceivedAt float64
}

// CitationKind says how the engine uses a source.
type CitationKind uint8

// In the order of the interface.
const (
	Cited CitationKind = iota
	Listed
	InlineLink
)

// Citation is one source of an answer.
type Citation struct {
	Position  uint32
	URL       string
	Title     string
	Snippet   string
	Published string
	Kind      CitationKind
	Markers   []string
}

// Usage is what the vendor counted; nil where it does not say.
type Usage struct {
	InputTokens       *uint32
	OutputTokens      *uint32
	CachedInputTokens *uint32
	ReasoningTokens   *uint32
	Searches          *uint32
}

// CostBasis says where an amount comes from.
type CostBasis uint8

// In the order of the interface.
const (
	Reported CostBasis = iota
	Computed
	Estimated
)

// Cost is an amount in micro-dollars.
type Cost struct {
	MicroUSD uint32
	Basis    CostBasis
}

// FinishReason says why the engine stopped.
type FinishReason uint8

// In the order of the interface.
const (
	Stop FinishReason = iota
	Length
	ContentFilter
	Other
	Unspecified
)

// Retrieval says whether the engine searched.
type Retrieval uint8

// In the order of the interface.
const (
	Searched Retrieval = iota
	NotSearched
	Unknown
)

// Meta is the instrument: what was asked of what, and what answered.
type Meta struct {
	Surface        string
	RequestedModel string
	ServedModel    string
	RequestID      string
	Finish         FinishReason
	Retrieval      Retrieval
	Queries        []string
	Usage          *Usage
	// TotalTokens is kept when it is not input plus output.
	TotalTokens  *uint32
	Cost         *Cost
	LocationUsed string
	Warnings     []string
	Extra        [][2]string
}

// MetaOf knows nothing yet but what was asked for.
func MetaOf(query Query) Meta {
	return Meta{Surface: query.Surface, Finish: Unspecified, Retrieval: Unknown}
}

// Absence is a reason for no answer.
type Absence uint8

// In the order of the interface.
const (
	NotTriggered Absence = iota
	Declined
	NoResults
	Empty
	Truncated
)

// Outcome is an Answer or a NoAnswer, which is a result, not an error.
type Outcome interface{ isOutcome() }

// Answer is what the engine showed, byte for byte.
type Answer struct {
	Text             string
	Citations        []Citation
	RelatedQuestions []string
	Meta             Meta
}

// NoAnswer says why the engine showed nothing.
type NoAnswer struct {
	Reason Absence
	Meta   Meta
}

func (Answer) isOutcome()   {}
func (NoAnswer) isOutcome() {}
