/** `urn:novacompat:problem:<name>`; names are a contract. */
const PROBLEMS = {
	"bad-request": { status: 400, title: "The request is not understood" },
	"not-found": { status: 404, title: "There is nothing at this path" },
	misdirected: { status: 421, title: "The request is for another server" },
	"method-not-allowed": { status: 405, title: "The method is not allowed at this path" },
	"request-timeout": { status: 408, title: "The request took too long to arrive" },
	"expectation-failed": { status: 417, title: "What the request expects is not done here" },
	"header-too-large": { status: 431, title: "The request header is too large" },
	"snapshot-unavailable": { status: 503, title: "The devices of this host cannot be read" },
	overloaded: { status: 503, title: "Too many requests are being answered" },
} as const;
export type ProblemName = keyof typeof PROBLEMS;

/** An error as RFC 9457 wants it; `detail` says what was expected. */
export function problem(name: ProblemName, detail: string): { status: number; type: string; body: string } {
	const { status, title } = PROBLEMS[name];
	const body = JSON.stringify({ type: `urn:novacompat:problem:${name}`, title, status, detail });
	return { status, type: "application/problem+json", body };
}

/** What node:http found wrong with a request that it could not parse. */
export function problemOfParser(code: string | undefined): ProblemName {
	if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request-timeout";
	return code === "HPE_HEADER_OVERFLOW" ? "header-too-large" : "bad-request";
}
