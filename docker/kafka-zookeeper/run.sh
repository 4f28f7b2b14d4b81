#!/bin/sh
# run.sh kafka|zookeeper: becomes one of the two.
#   KAFKA_CONFIG      its properties (/opt/server.properties: one broker, for compose)
#   ZOOKEEPER_CONFIG  its configuration (/opt/zoo.cfg: one server)
#   ZOOKEEPER_ID      its number among the servers of that file, where there are several
set -eu
log=-Dlog4j2.configurationFile=/opt/log4j2.xml
mkdir -p /data/kafka /data/zookeeper
case $1 in
  kafka)
    config=${KAFKA_CONFIG:-/opt/server.properties}
    # Formatting twice is harmless (--ignore-formatted); the id only has to be the same at each start, on all brokers.
    java -Xmx128m -XX:TieredStopAtLevel=1 $log -cp '/opt/jars/*' kafka.tools.StorageTool \
      format --ignore-formatted -t MkU3OEVBNTcwNTJENDM2Qg -c "$config"
    exec java -Xms256m -Xmx256m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError $log -cp '/opt/jars/*' kafka.Kafka "$config" ;;
  zookeeper)
    [ -z "${ZOOKEEPER_ID:-}" ] || echo "$ZOOKEEPER_ID" >/data/zookeeper/myid
    exec java -Xms64m -Xmx128m -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError $log -cp '/opt/jars/*' \
      org.apache.zookeeper.server.quorum.QuorumPeerMain "${ZOOKEEPER_CONFIG:-/opt/zoo.cfg}" ;;
  *) echo "run.sh: kafka or zookeeper, not '$1'" >&2; exit 2 ;;
esac
