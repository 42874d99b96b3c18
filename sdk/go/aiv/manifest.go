package aiv

// Manifest says what a plugin is and what it asks for.
type Manifest struct {
	Key         string
	DisplayName string
	Version     string
	Description string
	Homepage    string
	Hosts       []Host
	// ConfigSchema is the JSON Schema of the settings; any object without one.
	ConfigSchema string
	Surfaces     []Surface
	Extra        [][2]string
}

// Host is a host to connect to, and the credential that is sent to it.
type Host struct {
	Name string
	// Credential is sent to the hosts that name it and nowhere else; empty for none.
	Credential string
	// Variable is the environment variable in which operators keep the credential.
	Variable    string
	Description string
}

// Surface is one way to ask. Zero values mean one fetch, one request per second, a minute.
type Surface struct {
	ID                  string
	DisplayName         string
	Models              []string
	DefaultModel        string
	UsesLanguage        bool
	UsesCountry         bool
	UsesCity            bool
	UsesDevice          bool
	ListedIsVisible     bool
	TypicalCostMicroUSD uint32
	MaxFetches          uint32
	RequestsPerSecond   float64
	Burst               uint32
	DeadlineMs          uint32
}
