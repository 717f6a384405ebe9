//! What a compiler guarantees of its programs, asked of one that was read.

use super::LoadError;
use crate::Capabilities;
use crate::limits::Limits;
use crate::program::{Op, Program};

pub(super) fn verify(
    program: &Program,
    offered: Capabilities,
    limits: &Limits,
) -> Result<(), LoadError> {
    // `ihave` was answered for these when the script was compiled.
    if program.offered != offered || !program.required.is_within(offered) {
        return Err(LoadError::Capabilities);
    }
    if program.locals > limits.variables {
        return Err(LoadError::Limit("variables"));
    }
    if program.captures != program.required.contains("variables") {
        return Err(LoadError::Capabilities);
    }
    let mut open_case = false;
    let mut tests = program.tests.iter().enumerate();
    let mut commands = program.commands.iter().enumerate();
    for (at, instruction) in program.instructions.iter().enumerate() {
        let unsound = LoadError::Unsound { instruction: at };
        let forward = |target: usize| target > at && target <= program.instructions.len();
        let sound = match &instruction.op {
            Op::JumpIfTrue(target)
            | Op::JumpIfFalse(target)
            | Op::NextPart(target)
            | Op::Break(_, target) => forward(*target),
            // Back only to the head of a loop, which ends.
            Op::Jump(target) => {
                forward(*target)
                    || program
                        .instructions
                        .get(*target)
                        .is_some_and(|head| matches!(head.op, Op::NextPart(_)))
            }
            Op::Not | Op::Constant(_) | Op::Stop => true,
            Op::Return => program.required.contains("include"),
            Op::EnterParts => program.required.contains("foreverypart"),
            // Each is named once, in order.
            Op::Test(number) => tests.next().is_some_and(|(next, test)| {
                next == *number && crate::check::may_test(test.name(), program.required)
            }),
            Op::Run(number) => commands.next().is_some_and(|(next, command)| {
                next == *number && crate::check::may_run(command.name(), program.required)
            }),
            Op::BeginCase(_, end) => {
                let fits = !open_case && forward(*end);
                open_case = true;
                fits && program.required.contains("vnd.dovecot.testsuite")
            }
            Op::EndCase => std::mem::take(&mut open_case),
        };
        if !sound {
            return Err(unsound);
        }
    }
    if tests.next().is_some() || commands.next().is_some() {
        let instruction = program.instructions.len();
        return Err(LoadError::Unsound { instruction });
    }
    Ok(())
}
