//! `simulate`: what the daemon would do about an event.

use crate::ctl::args::{OnOrOff, SimulateCommand};
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::output::{Form, Output};
use crate::ctl::render;
use crate::formats::wire::{Request, supposed};
use crate::model::Supposition;

/// Tells it.
pub fn simulate(
    connection: &mut Connection,
    output: &mut Output,
    event: SimulateCommand,
) -> Result<Exit, CommandError> {
    let what = match event {
        SimulateCommand::Plug { volume } => Supposition::Plug(volume),
        SimulateCommand::Unplug { volume } => Supposition::Unplug(volume),
        SimulateCommand::Join { location } => Supposition::Join(location),
        SimulateCommand::Leave => Supposition::Leave,
        SimulateCommand::Sleep => Supposition::Sleep,
        SimulateCommand::Metered { state: OnOrOff::On } => Supposition::Metered,
        SimulateCommand::Metered { state: OnOrOff::Off } => Supposition::Unmetered,
    };
    let (event, volume, location) = supposed(&what);
    let reply = connection.ask(&Request::Simulate { event: event.to_owned(), volume, location })?;
    match output.form() {
        Form::Json => output.print_json(&reply.parameters)?,
        Form::Text => output.print(&render::simulate::simulate(&reply.decode()?))?,
    }
    Ok(Exit::Fine)
}
