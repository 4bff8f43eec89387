//! Whatever a user types, the interpreter says something about it and goes on.

use alloc::string::String;
use alloc::vec::Vec;

use arch::{Cpu, Machine};

use crate::terminal::fake::Terminal;
use crate::{COMMANDS, Session, complete};

/// A small generator (Marsaglia's xorshift): the same lines in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below
    }
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.next(from.len())]
    }
}

const WORDS: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "7",
    "0x10",
    "0xffffffffffffffff",
    "18446744073709551616",
    "4K",
    "1T",
    "zwei",
    "ü",
    "/",
    "//",
    "/a",
    "/guests",
    "/guests/guest0",
    "/cpus",
    "guest0",
    "guest0/uart0",
    "initrd",
    "/boot.xscript",
    "string",
    "uint32",
    "uint64",
    "bytes",
    "physsize",
    "a,b,string,c",
    "/,b,uint32,1",
    ",,,",
    "10:20:30",
    "31",
    "Feb",
    "2024",
    "+5:30",
    "platform",
    "char",
    "help",
    "#",
    "\"a b\"",
    "'",
    "\\",
    "[0]",
    "\u{1b}[A",
    "host/memory",
    "threads/1/name",
];

/// Words that end the machine, write to its memory or take too long for a test.
fn is_harmless(line: &[&str]) -> bool {
    let has = |word| line.contains(&word);
    !(has("sleep") || has("reset") || has("shutdown") || has("memory") || has("mount") || has("selftest"))
        && !(has("vfs") && (has("host_load") || has("host_load_list")))
}

/// A line of a command's words, or nearly so, and random arguments.
fn line(random: &mut Random) -> Option<String> {
    let mut words = Vec::new();
    let command = COMMANDS[random.next(COMMANDS.len())];
    words.push(command.name);
    let form = &command.forms[random.next(command.forms.len())];
    words.extend(form.words.split_whitespace());
    for _ in 0..random.next(6) {
        words.push(random.pick(WORDS));
    }
    if random.next(4) == 0 {
        let at = random.next(words.len());
        words[at] = random.pick(WORDS);
    }
    is_harmless(&words).then(|| words.join(random.pick(&[" ", "  ", "\t", " ", ";"])))
}

fn seed() -> Random {
    Random(0x9e37_79b9_7f4a_7c15)
}

#[test]
fn no_line_of_words_stops_the_interpreter() {
    // Some wait a moment, which passes at once in virtual time.
    Machine::on_interrupt(host_thread::simple_entry);
    host_thread::start().unwrap();
    let mut random = seed();
    let mut terminal = Terminal::default();
    for _ in 0..20_000 {
        if let Some(line) = line(&mut random) {
            let _ = Session::new(&mut terminal).run_line(&line);
            terminal.shown.clear();
        }
    }
    let _ = Session::new(&mut terminal).run_line("echo still here");
    assert_eq!(terminal.text(), "still here\n");
}

#[test]
fn no_line_of_characters_stops_the_interpreter() {
    let mut random = seed();
    let mut terminal = Terminal::default();
    for _ in 0..20_000 {
        let length = random.next(40);
        let line: String = (0..length)
            .filter_map(|_| char::from_u32(random.next(if random.0 & 1 == 0 { 0x80 } else { 0x3000 }) as u32))
            .collect();
        let _ = Session::new(&mut terminal).run_line(&line);
        terminal.shown.clear();
    }
}

#[test]
fn no_beginning_of_a_line_stops_completion() {
    let mut random = seed();
    for _ in 0..20_000 {
        let Some(line) = line(&mut random) else { continue };
        let mut end = random.next(line.len() + 1);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let typed = &line[..end];
        let word = typed.rsplit([' ', '\t', ';']).next().unwrap();
        assert!(complete(typed).iter().all(|candidate| candidate.starts_with(word)), "{typed:?}");
    }
}
