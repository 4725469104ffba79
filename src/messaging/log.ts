/** Where messaging says what happens to it: lines without secrets, no body of any message. */
export interface Log {
	debug(message: string): void;
	info(message: string): void;
	warning(message: string): void;
	error(message: string): void;
	/** ... with the error that it is due to, and where in the code that was. */
	exception(message: string, error: unknown): void;
}
