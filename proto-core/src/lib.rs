//! What the sans-IO mail protocol machines share: steps, output, line and dot scanners, deadlines, secrets, SASL.
