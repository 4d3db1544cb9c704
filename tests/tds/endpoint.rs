//! A server that says what it was told to say, to any number of clients, without TLS.

use crate::tds::reply::Reply;
use crate::tds::wire::{self, LOGIN7, Login, PRELOGIN};
use blobdelta::backend::{Connection, Credentials};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module's text. Its thread ends with the test program.
pub struct Endpoint {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: Vec<Answer>,
    refused: Option<Reply>,
    logins: Vec<Login>,
    statements: Vec<String>,
    /// What is said where the script has nothing to say.
    guess: Option<fn(&str, &[String]) -> Reply>,
}

/// What is said to statements that hold a text: the replies one after the other, the last again
/// and again.
struct Answer {
    holds: &'static str,
    replies: Vec<Reply>,
}

impl Endpoint {
    /// Answers that there is the database that is asked for, and to everything else that it is
    /// done.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = Arc::clone(&endpoint.state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        endpoint.answers("DB_ID(", [Reply::number(1)]);
        endpoint
    }

    /// Answers of later calls come before those of earlier ones.
    pub fn answers<const N: usize>(&self, holds: &'static str, replies: [Reply; N]) {
        assert_ne!(N, 0);
        lock(&self.state).script.insert(0, Answer { holds, replies: replies.into() });
    }

    /// Answers what no answer was given for by the statement itself, and those before it.
    pub fn guesses(&self, guess: fn(&str, &[String]) -> Reply) {
        lock(&self.state).guess = Some(guess);
    }

    /// All statements so far.
    pub fn statements(&self) -> Vec<String> {
        lock(&self.state).statements.clone()
    }

    /// Refuses logins with this answer.
    pub fn refuses(&self, reply: Reply) {
        lock(&self.state).refused = Some(reply);
    }

    /// Refuses them no more.
    pub fn accepts(&self) {
        lock(&self.state).refused = None;
    }

    pub fn logins(&self) -> Vec<Login> {
        lock(&self.state).logins.clone()
    }

    /// How many of the statements so far hold a text.
    pub fn heard(&self, text: &str) -> usize {
        lock(&self.state).statements.iter().filter(|statement| statement.contains(text)).count()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn connection(&self) -> Connection {
        self.connection_with("")
    }

    /// With more keywords.
    pub fn connection_with(&self, more: &str) -> Connection {
        let port = self.address.port();
        let text = format!("Server=tcp:127.0.0.1,{port};User ID=tester;Encrypt=DANGER_PLAINTEXT{more}");
        let credentials = Credentials { password: Some("secret".into()), ..Credentials::default() };
        Connection::parse(&text, &credentials).unwrap()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one client until it goes, or is cut off.
fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    while let Ok((kind, message)) = wire::read_message(&mut stream) {
        let reply = match kind {
            PRELOGIN => Reply { tokens: wire::prelogin(), ..Reply::new() },
            LOGIN7 => {
                let mut state = lock(state);
                state.logins.push(Login::parse(&message));
                state.refused.clone().unwrap_or_else(Reply::login_accepted)
            }
            kind => {
                let statement = wire::statement(kind, &message).unwrap_or_else(|| panic!("cannot read {message:02x?}"));
                lock(state).answer(statement)
            }
        };
        if reply.is_mute {
            // Until the client goes.
            let _ = wire::read_message(&mut stream);
            return;
        }
        if wire::write_message(&mut stream, &reply.tokens, reply.is_whole).is_err() || !reply.is_whole {
            return;
        }
    }
}

impl State {
    fn answer(&mut self, statement: String) -> Reply {
        let found = self.script.iter_mut().find(|answer| statement.contains(answer.holds));
        let reply = match found {
            Some(answer) if answer.replies.len() > 1 => answer.replies.remove(0),
            Some(answer) => answer.replies[0].clone(),
            None => self.guess.map_or(Reply::done(0), |guess| guess(&statement, &self.statements)),
        };
        self.statements.push(statement);
        reply
    }
}
