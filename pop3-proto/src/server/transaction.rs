//! Commands of the TRANSACTION state (RFC 1939 §5).

use super::listing::{Kind, Listing};
use super::{Event, Line, Rejected, Retrieve, Server, State, Update};
use crate::{Command, MessageNumber, Reply};

impl Server {
    pub(super) fn transaction(&mut self, command: Command) -> Line {
        match command {
            Command::Stat => {
                let (count, octets) = (self.maildrop.count(), self.maildrop.octets());
                self.say(&Reply::ok(format!("{count} {octets}")));
            }
            Command::List(None) => {
                let text = self.summary();
                self.say(&Reply::ok(text));
                self.state = State::Listing(Listing::new(Kind::Sizes));
            }
            Command::Uidl(None) => {
                self.say(&Reply::ok("unique-ids follow"));
                self.state = State::Listing(Listing::new(Kind::UniqueIds));
            }
            Command::List(Some(number)) => self.list_one(Kind::Sizes, number),
            Command::Uidl(Some(number)) => self.list_one(Kind::UniqueIds, number),
            Command::Retr(number) => return self.retrieve(number, None),
            Command::Top(number, lines) => return self.retrieve(number, Some(lines)),
            Command::Dele(number) => {
                if self.maildrop.delete(number) {
                    self.say(&Reply::ok(format!("message {number} marked")));
                } else {
                    self.no_such_message(number);
                }
            }
            Command::Noop => self.say(&Reply::ok("")),
            Command::Rset => {
                self.maildrop.reset();
                let text = self.summary();
                self.say(&Reply::ok(text));
            }
            Command::Quit => {
                self.state = State::Update;
                let deleted = self.maildrop.deleted().collect();
                return Line::Event(Event::Update(Update { deleted }));
            }
            other => return self.reject(Rejected::WrongState(other.keyword())),
        }
        Line::Handled
    }

    fn list_one(&mut self, kind: Kind, number: MessageNumber) {
        if !kind.write(&self.maildrop, number, "+OK ", &mut self.output) {
            self.no_such_message(number);
        }
    }

    fn retrieve(&mut self, number: MessageNumber, lines: Option<u32>) -> Line {
        if self.maildrop.size(number).is_none() {
            self.no_such_message(number);
            return Line::Handled;
        }
        let retrieve = Retrieve {
            number,
            lines,
            utf8: self.utf8,
        };
        self.state = State::Retrieve(retrieve);
        Line::Event(Event::Retrieve(retrieve))
    }

    fn no_such_message(&mut self, number: MessageNumber) {
        let highest = self.maildrop.highest();
        let text = if self.maildrop.is_deleted(number) {
            format!("message {number} is marked as deleted")
        } else {
            format!("no such message, the maildrop has {highest}")
        };
        self.say(&Reply::err(text));
    }
}
