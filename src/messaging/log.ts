/** Where messaging says what happens to it: lines without secrets, no body of any message. */
export interface Log {
	debug(message: string): void;
	info(message: string): void;
	warning(message: string): void;
	error(message: string): void;
}
