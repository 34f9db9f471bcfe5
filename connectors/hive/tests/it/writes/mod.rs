mod cleaning;
mod contract;
mod faults;
mod races;
mod requests;
mod rows;
