"""Commands that bring in what happened elsewhere: repositories, files, other tools' exports."""
