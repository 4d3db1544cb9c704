//! One connection: a driver that is asynchronous, behind calls that are not.
//!
//! **How it lives.** A current-thread Tokio runtime of its own, because that is three times as
//! fast as sharing one, and because a stalled connection then stalls nobody else. A connection
//! that broke is opened again by the next call; temporary tables and an open transaction went
//! with it, which is why [`Client::unit`] repeats whole units and nothing less.
//!
//! **A server that is away.** The first login is tried once: a wrong name is told at once. Where the server was reached before,
//! it may restart or fail over: units wait for it, with pauses that double up to 13 seconds, for as long as
//! [`ReadTimeouts::reconnect`] says. A login that the server refuses for who it is, is never tried again.
//!
//! **Watchdog.** A statement may take what it takes, but not be silent for ever: TCP keep-alive
//! notices a peer that is gone within two minutes, and a peer that is there and says nothing is left
//! when the address's [read timeout](Address::read_timeout) is over. A statement that an operator wants ended is
//! left likewise. The server rolls back what a connection that was left had open.

use super::address::{Address, LOGIN_TIMEOUT};
use super::errors::{Trouble, failed, not_connected, not_reached_again, trouble, trouble_of_login};
use super::sql::Sql;
use super::watch::{Ended, LOOK, ReadTimeouts, silent};
use crate::backend::connect::broken_off;
use crate::error::{Error, Kind, Result};
use crate::model::id::Guid;
use crate::scripts::statement::statement;
use futures_util::TryStreamExt as _;
use futures_util::io::BufReader;
use socket2::{SockRef, TcpKeepalive};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tiberius::error::{Error as Tds, IoErrorKind};
use tiberius::{Query, QueryItem, Row, TokenRow};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

const SQL: &str = include_str!("../../../sql/sqlserver/client.sql");

/// Every session of ours. What a statement may wait for is bounded, and it is we who give way in
/// a deadlock, never the application whose tables these are.
const SESSION: &str = statement(SQL, "session");

/// A unit is tried so often in all.
const MAX_TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The driver asks the socket for 8 KiB at a time, which is a call of the system for each quarter of a packet.
const READ_BYTES: usize = 256 << 10;

type Link = tiberius::Client<BufReader<Compat<TcpStream>>>;

/// See the module's text.
pub(super) struct Client {
    runtime: tokio::runtime::Runtime,
    link: Option<Link>,
    address: Address,
    /// The database in use, where the login's own is not meant.
    database: Option<String>,
    trouble: Trouble,
    watch: ReadTimeouts,
    was_linked: bool,
    /// Since when a server that was reached before is not.
    away_since: Option<Instant>,
}

impl Client {
    /// Connects and logs in.
    pub(super) fn connect(address: &Address, database: Option<&str>, watch: ReadTimeouts) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal("cannot start the network runtime").caused_by(error))?;
        let mut client = Self {
            runtime,
            link: None,
            address: address.clone(),
            database: database.map(str::to_owned),
            trouble: Trouble::Final,
            watch,
            was_linked: false,
            away_since: None,
        };
        client.ensure_linked()?;
        Ok(client)
    }

    /// A server that is away is not waited for.
    pub(super) fn wait_for_nobody(&mut self) {
        self.watch.reconnect = Duration::ZERO;
    }

    /// The number under which the server knows this session.
    pub(super) fn session_id(&mut self) -> Result<i64> {
        let row = self.row("ask for the session", Sql::new("SELECT CONVERT(int, @@SPID)"))?;
        let row = row.ok_or_else(|| Error::internal("the server gave the session no number"))?;
        super::values::RowFields::of(&row).must(0, super::values::RowFields::number)
    }

    /// Changes the database in use, also for when the connection is opened again.
    pub(super) fn use_database(&mut self, database: &str) -> Result<()> {
        self.batch("use the database", &format!("USE {}", super::sql::quote(database)))?;
        self.database = Some(database.to_owned());
        Ok(())
    }

    /// The database in use, where it was chosen here.
    pub(super) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    fn ensure_linked(&mut self) -> Result<()> {
        if self.link.is_some() {
            return Ok(());
        }
        let config = self.address.config()?;
        let watch = ReadTimeouts { read_timeout: None, ..self.watch };
        let opened = self.runtime.block_on(watch.over(async {
            let waited = tokio::time::timeout(LOGIN_TIMEOUT, open(config)).await;
            waited.unwrap_or_else(|_| {
                Err(Tds::Io { kind: IoErrorKind::TimedOut, message: "no answer within 30 seconds".into() })
            })
        }));
        let opened = opened.map_err(|ended| match ended {
            Ended::By(error) => self.note_away(error),
            ended => self.note("log in", ended),
        });
        self.link = Some(opened?);
        let mut setup = SESSION.to_owned();
        if let Some(database) = &self.database {
            setup.push_str(&format!(" USE {};", super::sql::quote(database)));
        }
        let set_up = self.batch("set up the session", &setup);
        if set_up.is_err() && self.was_linked && self.trouble != Trouble::Final {
            // It lets us in, and the database is not there yet.
            (self.link, self.trouble) = (None, Trouble::Lost);
            self.away_since.get_or_insert_with(Instant::now);
        }
        set_up?;
        (self.was_linked, self.away_since) = (true, None);
        Ok(())
    }

    /// A login that failed: of a server that was reached before, what is not its refusal may pass.
    fn note_away(&mut self, error: Tds) -> Error {
        self.trouble = if self.was_linked { trouble_of_login(&error) } else { Trouble::Final };
        let server = self.address.to_string();
        if self.trouble == Trouble::Final {
            return not_connected(&server, error);
        }
        self.away_since.get_or_insert_with(Instant::now);
        not_reached_again(&server, self.watch.reconnect, error)
    }

    /// Waits until the server can be reached, as a unit does.
    pub(super) fn reach(&mut self) -> Result<()> {
        self.unit(|client| client.batch("reach the server", "SELECT 1"))
    }

    fn note(&mut self, doing: &str, ended: Ended) -> Error {
        let error = match ended {
            Ended::By(error) => error,
            // Not tried again: the server may still be at it.
            Ended::Silent => {
                (self.trouble, self.link) = (Trouble::Final, None);
                return silent(doing, self.watch.read_timeout);
            }
            Ended::Stopped => {
                (self.trouble, self.link) = (Trouble::Final, None);
                // How the work ends is written.
                self.watch.give_up = || false;
                return broken_off(doing);
            }
        };
        self.trouble = trouble(&error);
        if self.trouble == Trouble::Lost {
            self.link = None;
        }
        failed(doing, error)
    }

    /// Runs statements that take no values, and gives no rows.
    pub(super) fn batch(&mut self, doing: &str, sql: &str) -> Result<()> {
        self.ensure_linked()?;
        let Self { runtime, link, watch, .. } = self;
        let Some(link) = link else { return Err(lost(doing)) };
        let done = runtime.block_on(watch.over(async { link.simple_query(sql).await?.into_results().await.map(drop) }));
        done.map_err(|error| self.note(doing, error))
    }

    /// Runs one statement; returns the rows that it changed.
    pub(super) fn execute(&mut self, doing: &str, sql: Sql<'_>) -> Result<u64> {
        self.ensure_linked()?;
        let Self { runtime, link, watch, .. } = self;
        let Some(link) = link else { return Err(lost(doing)) };
        // NOCOUNT is on for the procedures; here the count is what is asked for.
        let text = format!("SET NOCOUNT OFF; {}", sql.text);
        let done = runtime.block_on(watch.over(async { query_of(text, sql.values).execute(link).await }));
        done.map(|done| done.total()).map_err(|error| self.note(doing, error))
    }

    /// All rows of the last result set; for results that are small by design.
    pub(super) fn rows(&mut self, doing: &str, sql: Sql<'_>) -> Result<Vec<Row>> {
        self.ensure_linked()?;
        let Self { runtime, link, watch, .. } = self;
        let Some(link) = link else { return Err(lost(doing)) };
        let done = runtime.block_on(watch.over(async {
            let results = query_of(sql.text, sql.values).query(link).await?.into_results().await?;
            Ok(results.into_iter().next_back().unwrap_or_default())
        }));
        done.map_err(|error| self.note(doing, error))
    }

    /// The first row of the last result set.
    pub(super) fn row(&mut self, doing: &str, sql: Sql<'_>) -> Result<Option<Row>> {
        Ok(self.rows(doing, sql)?.into_iter().next())
    }

    /// Gives rows as they come, until `each` breaks off. The rest is then read and dropped, so
    /// what can be large is broken off only by dropping the client.
    pub(super) fn stream(
        &mut self,
        doing: &str,
        sql: Sql<'_>,
        mut each: impl FnMut(Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.ensure_linked()?;
        let Self { runtime, link, watch, .. } = self;
        let Some(link) = link else { return Err(lost(doing)) };
        let done = runtime.block_on(async {
            let query = query_of(sql.text, sql.values);
            let mut items = watch.over(query.query(link)).await.map_err(ReadFailure::Server)?;
            while let Some(item) = watch.over(items.try_next()).await.map_err(ReadFailure::Server)? {
                if let QueryItem::Row(row) = item
                    && each(row).map_err(ReadFailure::Reader)?.is_break()
                {
                    break;
                }
            }
            Ok(())
        });
        done.map_err(|broken| match broken {
            ReadFailure::Server(error) => self.note(doing, error),
            ReadFailure::Reader(error) => {
                self.trouble = Trouble::Final;
                error
            }
        })
    }

    /// Loads rows into a table of the database in use, in the order of its columns, by the
    /// protocol's bulk load: no value of a row may have more than 65,535 bytes. Rows are taken one
    /// at a time; one that cannot be had ends the connection, because a load cannot be taken back.
    pub(super) fn bulk<'r>(
        &mut self,
        doing: &str,
        table: &str,
        rows: impl Iterator<Item = Result<TokenRow<'r>>>,
    ) -> Result<()> {
        self.ensure_linked()?;
        let Self { runtime, link, watch, .. } = self;
        let Some(link) = link else { return Err(lost(doing)) };
        let done = runtime.block_on(async {
            let mut load = watch.over(link.bulk_insert(table)).await.map_err(ReadFailure::Server)?;
            for row in rows {
                let row = row.map_err(ReadFailure::Reader)?;
                watch.over(load.send(row)).await.map_err(ReadFailure::Server)?;
            }
            watch.over(load.finalize()).await.map(drop).map_err(ReadFailure::Server)
        });
        done.map_err(|broken| match broken {
            ReadFailure::Server(error) => {
                let loading = !matches!(error, Ended::By(Tds::Server(_)));
                let error = self.note(doing, error);
                if loading {
                    self.link = None;
                }
                error
            }
            ReadFailure::Reader(error) => {
                self.trouble = Trouble::Final;
                self.link = None;
                error
            }
        })
    }

    /// Calls a procedure that may commit by itself. Inputs that are NULL are left out; outputs are
    /// (name, type), and come back as columns in their order.
    pub(super) fn call<'a>(
        &mut self,
        doing: &str,
        procedure: &str,
        inputs: Vec<(&str, super::sql::SqlParameter<'a>)>,
        outputs: &[(&str, &str)],
    ) -> Result<Option<Row>> {
        let mut sql = Sql::default();
        for (nth, (_, kind)) in outputs.iter().enumerate() {
            sql.push_text(&format!("DECLARE @o{nth} {kind}; "));
        }
        sql.push_text(&format!("EXEC {procedure}"));
        let mut comma = " ";
        for (name, value) in inputs.into_iter().filter(|(_, value)| value.0.is_some()) {
            sql.push_text(&format!("{comma}@{name} = "));
            sql.push(value);
            comma = ", ";
        }
        let mut list = String::new();
        for (nth, (name, kind)) in outputs.iter().enumerate() {
            sql.push_text(&format!("{comma}@{name} = @o{nth} OUTPUT"));
            list.push_str(&format!("{}CAST(@o{nth} AS {kind}) AS {name}", if nth > 0 { ", " } else { "" }));
            comma = ", ";
        }
        sql.push_text(";");
        if !outputs.is_empty() {
            sql.push_text(&format!(" SELECT {list};"));
        }
        self.row(doing, sql)
    }

    /// Does a unit of work that may be repeated: again after a deadlock or a lost connection, with
    /// growing, uneven pauses, five times in all; while the server is away, for as long as the watch
    /// says. An open transaction is rolled back first.
    pub(super) fn unit<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        for tried in 1.. {
            self.trouble = Trouble::Final;
            match work(self) {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let trouble = self.trouble;
                    self.roll_back();
                    let is_over = match self.away_since {
                        Some(since) => since.elapsed() >= self.watch.reconnect,
                        None => tried >= MAX_TRIES,
                    };
                    if trouble == Trouble::Final || is_over || !self.pause(pause(tried)) {
                        return Err(error);
                    }
                }
            }
        }
        Err(Error::internal("a unit was never tried"))
    }

    /// `false`, before it is over, if nothing more is to be waited for.
    fn pause(&self, length: Duration) -> bool {
        let until = Instant::now() + length;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if (self.watch.give_up)() {
                return false;
            }
            std::thread::sleep(left.min(LOOK));
        }
        true
    }

    /// One transaction, as a unit.
    pub(super) fn transact<T>(&mut self, doing: &str, mut work: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        self.unit(|client| {
            client.batch(doing, "BEGIN TRANSACTION")?;
            let value = work(client)?;
            client.batch(doing, "COMMIT TRANSACTION")?;
            Ok(value)
        })
    }

    /// One transaction that cannot be repeated, because it takes what comes only once.
    pub(super) fn once<T>(&mut self, doing: &str, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let done = self.batch(doing, "BEGIN TRANSACTION").and_then(|()| {
            let value = work(self)?;
            self.batch(doing, "COMMIT TRANSACTION")?;
            Ok(value)
        });
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    /// Whether there is a session; one that is opened again has forgotten what the last one knew.
    pub(super) fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    /// Whether what failed last may succeed when it is asked for again.
    pub(super) fn may_try_again(&self) -> bool {
        self.trouble != Trouble::Final
    }

    fn roll_back(&mut self) {
        if self.link.is_some() && self.batch("roll back", "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION").is_err() {
            // The server rolls back when the session ends.
            self.link = None;
        }
    }
}

enum ReadFailure {
    Server(Ended),
    Reader(Error),
}

fn lost(doing: &str) -> Error {
    Error::new(Kind::Database, format!("cannot {doing}: there is no connection"))
}

fn query_of<'a>(text: String, values: Vec<tiberius::ColumnData<'a>>) -> Query<'a> {
    let mut query = Query::new(text);
    for value in values {
        query.bind(value);
    }
    query
}

/// Doubles each time, and no two clients wait alike.
fn pause(tried: u32) -> Duration {
    let jitter = f64::from(Guid::random().as_bytes()[0]) / 256.0;
    (FIRST_PAUSE * 2_u32.pow(tried.min(6))).mul_f64(0.5 + jitter)
}

async fn open(mut config: tiberius::Config) -> Result<Link, Tds> {
    // Azure answers a login with the address of another gateway; once is what the protocol knows.
    for _ in 0..2 {
        let tcp = TcpStream::connect(config.get_addr()).await?;
        tcp.set_nodelay(true)?;
        let keep_alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10));
        SockRef::from(&tcp).set_tcp_keepalive(&keep_alive)?;
        let socket = BufReader::with_capacity(READ_BYTES, tcp.compat_write());
        match tiberius::Client::connect(config.clone(), socket).await {
            Err(Tds::Routing { host, port }) => {
                config.host(host);
                config.port(port);
            }
            done => return done,
        }
    }
    Err(Tds::Protocol("the server sends from one address to another".into()))
}
