//! The end of the log.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::frame::{self, At, FIRST_FRAME, FRAME_HEADER, Key, Record};
use super::incoming::{Body, Sealed};
use super::index::Index;
use super::spare::Spares;
use super::{lock, segment_name};
use crate::durable::{Durable, File};
use crate::error::{Error, IoContext};

/// A buffer of more octets is not kept for the next group.
const KEPT_BUFFER: usize = 1 << 20;

/// The end of the log.
pub(super) struct Writer {
    pub(super) directory: PathBuf,
    next_number: u64,
    /// A segment is ended before it would be longer.
    pub(super) segment_octets: u64,
    current: Option<Current>,
    pub(super) spares: Spares,
    /// Room for a group's frames: a new one for each group would take longer than to fill it.
    buffer: Vec<u8>,
    /// What is to be told of segments that were ended, not yet in the log.
    endings: Vec<Record<'static>>,
    /// It is not known what the disk has of the last group.
    in_doubt: bool,
    /// Refused batches that the log may still name until the voids are in it; their files go after that.
    doubtful: Vec<Sealed>,
    /// What the last group took to write and sync.
    last_sync: Duration,
}

struct Current {
    number: u64,
    key: Key,
    path: PathBuf,
    file: Arc<dyn File>,
    end: u64,
}

/// A body, and its place in the segment.
pub(super) struct Framed {
    pub(super) body_at: u64,
    /// Where the body stands in what was written last.
    body: Range<usize>,
}

impl Writer {
    pub(super) fn new(
        directory: PathBuf,
        next_number: u64,
        segment_octets: u64,
        spares: Spares,
        endings: Vec<Record<'static>>,
    ) -> Self {
        Self {
            directory,
            next_number,
            segment_octets,
            current: None,
            spares,
            buffer: Vec::new(),
            endings,
            in_doubt: false,
            doubtful: Vec::new(),
            last_sync: Duration::ZERO,
        }
    }

    /// Begins a segment if none can be written to. Its number is never used again, whether that succeeds or not.
    pub(super) fn ensure_segment(
        &mut self,
        durable: &Durable,
        index: &Mutex<Index>,
    ) -> Result<(), Error> {
        if self.current.is_some() {
            return Ok(());
        }
        let number = self.next_number;
        self.next_number += 1;
        let path = self.directory.join(segment_name(number));
        let begun = (|| {
            let key = Key::new(number).map_err(std::io::Error::from);
            let key = key.at("choose a salt for", &path)?;
            let file = match self.spares.take(durable, &path)? {
                Some(file) => file,
                None => durable.create(&path)?,
            };
            file.write_all_at(&key.beginning(), 0).at("write", &path)?;
            // It comes to the disk with the first frames; the name alone keeps the number from being given again.
            durable.sync_dir(&self.directory)?;
            Ok((key, file))
        })();
        match begun {
            Ok((key, file)) => {
                let (file, end): (Arc<dyn File>, _) = (Arc::from(file), FIRST_FRAME);
                let len = file.stat().map_or(end, |stat| stat.len);
                lock(index).add_segment(number, Arc::clone(&file), path.clone(), len);
                self.current = Some(Current {
                    number,
                    key,
                    path,
                    file,
                    end,
                });
                Ok(())
            }
            Err(error) => {
                // An empty segment is harmless; this only gives its space back.
                let _ = durable.remove(&path);
                Err(error)
            }
        }
    }

    /// Ends a segment that has no room for so many octets of bodies more; one that is empty takes any.
    pub(super) fn make_room(&mut self, octets: usize) {
        let full = self.current.as_ref().is_some_and(|current| {
            let end = current.end + (octets + FRAME_HEADER) as u64;
            current.end > FIRST_FRAME && end > self.segment_octets
        });
        if full {
            self.end_segment();
        }
    }

    /// Ends the segment; the next one says before anything else how far it was acknowledged.
    fn end_segment(&mut self) {
        if let Some(current) = self.current.take() {
            self.endings.push(Record::Void {
                segment: current.number,
                from: current.end,
            });
        }
    }

    /// Says behind the last group that it was acknowledged, when nothing more will be written. That is not synced: at
    /// the worst it is not known of damage whether anybody was told what had stood there.
    pub(super) fn close(&mut self) {
        if let Some(current) = self
            .current
            .take()
            .filter(|current| current.end > FIRST_FRAME)
        {
            let at = At {
                place: current.end,
                group: current.end,
            };
            let mut mark = Vec::with_capacity(FRAME_HEADER);
            frame::write_end(&current.key, at, &mut mark);
            let _ = current.file.write_all_at(&mark, current.end);
        }
    }

    /// Number of the segment that is written to, and where its mail ends.
    pub(super) fn end(&self) -> Option<(u64, u64)> {
        let current = self.current.as_ref()?;
        Some((current.number, current.end))
    }

    /// Octets of a framed body, until the next write.
    pub(super) fn body(&self, framed: &Framed) -> &[u8] {
        self.buffer.get(framed.body.clone()).unwrap_or_default()
    }

    /// Whether it is not known what the disk has of the last group: what the log may name then must not go.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// What the last group took to write and sync.
    pub(super) fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// Keeps the files of a refused batch until the log says that it was refused.
    pub(super) fn keep_in_doubt(&mut self, sealed: Sealed) {
        self.doubtful.push(sealed);
    }

    /// Writes bodies as frames behind the end, by one call, and syncs them.
    pub(super) fn write(
        &mut self,
        durable: &Durable,
        bodies: &[Body],
    ) -> Result<(u64, Vec<Framed>), Error> {
        let Some(current) = &mut self.current else {
            return Err(Error::Closed);
        };
        let out = &mut self.buffer;
        out.clear();
        out.shrink_to(KEPT_BUFFER);
        let group = current.end;
        let place = |out: &[u8]| group + out.len() as u64;
        if !self.endings.is_empty() {
            let mut body = Vec::new();
            for ending in &self.endings {
                ending.write(&mut body);
            }
            frame::write_frame(
                &current.key,
                At {
                    place: group,
                    group,
                },
                &[body],
                out,
            );
        }
        let mut framed = Vec::with_capacity(bodies.len());
        for body in bodies {
            let place = place(out);
            let start = out.len() + FRAME_HEADER;
            frame::write_frame(&current.key, At { place, group }, body.parts(), out);
            framed.push(Framed {
                body_at: place + FRAME_HEADER as u64,
                body: start..out.len(),
            });
        }
        let end = place(out);
        frame::write_end(&current.key, At { place: end, group }, out);
        let begun = now();
        if let Err(error) = current
            .file
            .write_all_at(out, group)
            .at("write", &current.path)
        {
            // As on a full disk: when the part that was written can be cut off durably, nothing has happened.
            let cut = current.file.set_len(current.end).at("cut", &current.path);
            if cut
                .and_then(|()| durable.sync(&*current.file, &current.path))
                .is_err()
            {
                self.in_doubt = true;
                self.end_segment();
            }
            return Err(error);
        }
        if let Err(error) = durable.sync_data(&*current.file, &current.path) {
            // What is on the disk is not known, and another sync would not tell either.
            self.in_doubt = true;
            self.end_segment();
            return Err(error);
        }
        self.last_sync = begun.elapsed();
        self.endings.clear();
        self.in_doubt = false;
        self.doubtful.clear();
        current.end = end;
        Ok((current.number, framed))
    }
}

// How long the disk takes is nothing that a caller could tell.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}
