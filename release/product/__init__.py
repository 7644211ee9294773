"""What comes out: builds, RPM repositories, images, releases, each named by its content."""
