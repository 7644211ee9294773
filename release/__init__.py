"""What a release is and may become: pure decisions on frozen data. Nothing here touches the world."""
