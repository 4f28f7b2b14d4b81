#!/bin/sh
# run.sh kafka|zookeeper: becomes one of the two.
set -eu
log=-Dlog4j2.configurationFile=/opt/log4j2.xml
mkdir -p /data/kafka /data/zookeeper
case $1 in
  kafka)
    # Formatting twice is harmless (--ignore-formatted); the id only has to be the same at each start.
    java -Xmx128m -XX:TieredStopAtLevel=1 $log -cp '/opt/jars/*' kafka.tools.StorageTool \
      format --ignore-formatted -t MkU3OEVBNTcwNTJENDM2Qg -c /opt/server.properties
    exec java -Xms256m -Xmx256m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError $log -cp '/opt/jars/*' kafka.Kafka /opt/server.properties ;;
  zookeeper)
    exec java -Xms64m -Xmx128m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError $log -cp '/opt/jars/*' \
      org.apache.zookeeper.server.quorum.QuorumPeerMain /opt/zoo.cfg ;;
  *) echo "run.sh: kafka or zookeeper, not '$1'" >&2; exit 2 ;;
esac
