"""Speaking: short tones from the robot's speaker or this computer's, beside the control loop and never needed."""
